"""A report with a result of every outcome, some of them hostile."""

from datetime import UTC, datetime

from oruel.verify.check import Check
from oruel.verify.probe import Probe
from oruel.verify.profile import ORUEL
from oruel.verify.reply import Facts
from oruel.verify.runner import Report, Result
from oruel.verify.verdict import Bar, Chart, Exchange, Verdict, cant_tell, differs, honoured, ignored, refused

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Don't $HOME `id` \\"}], "top_k": 2}
ANSWER = {"choices": [{"index": 0, "message": {"content": "Once"}}], "usage": {"total_tokens": 9}}
EXCHANGE = Exchange(REQUEST, 200, ANSWER)
CHART = Chart(
    "top_k: first tokens of “Tell me a story.”",
    (Bar("Long", 0.6, 30), Bar(" On", 0.4, 10), Bar("(other)", 0.0, 0)),
    {"ignored": (0.3, 0.2, 0.5), "one more": (0.5, 0.3, 0.2)},
)
HONOURED = honoured(figures={"draws": 40, "top_k": 2, "prompt": "Tell me a story."}, p_value=0.5, charts=(CHART,))
DIFFERS = differs("the prompt is counted", figures={"odds": 0.1353}, p_value=2e-14, exchanges=(EXCHANGE,))
IGNORED = ignored("the draws follow the distribution without it", charts=(CHART,), weak=True)
REFUSED = refused("status 400", exchanges=(Exchange(REQUEST, 400, {"error": {"message": "no"}}),))
UNTOLD = cant_tell("the endpoint reports no log-probabilities")
EVERY_OUTCOME = (HONOURED, DIFFERS, IGNORED, REFUSED, UNTOLD)

SCRIPT = (
    "</script></pre></title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;\0\x1b[31m\u202e\ud800"
)


async def never(probe: Probe) -> Verdict:
    raise NotImplementedError


def result(verdict: Verdict, number: int = 0) -> Result:
    name = f"check_{number}"
    return Result(Check(f"{name}.aspect", name, f"Question {number}?", f"Method {number}.", 100, never), verdict)


def report(*verdicts: Verdict, ended: str = "", keyed: bool = True, model: str = "m") -> Report:
    return Report(
        "https://api.example/v1",
        model,
        ORUEL,
        seed=7,
        facts=Facts(20, frozenset({"top_k"}), context=4096, server="uvicorn"),
        results=[result(verdict, number) for number, verdict in enumerate(verdicts)],
        tokens=1234,
        requests=56,
        waited=1.5,
        ended=ended,
        planned=len(verdicts) + bool(ended),
        keyed=keyed,
        started=datetime(2026, 11, 28, 1, 2, 3, tzinfo=UTC),
    )


def hostile() -> Report:
    """Every text that an endpoint can choose is SCRIPT."""
    chart = Chart(SCRIPT, (Bar(SCRIPT, 0.5, 3),), {SCRIPT: (0.1,)})
    verdict = differs(
        SCRIPT,
        figures={SCRIPT: SCRIPT},
        exchanges=(Exchange({SCRIPT: SCRIPT}, 200, {SCRIPT: SCRIPT}),),
        charts=(chart,),
    )
    made = report(verdict, ended=SCRIPT, model=SCRIPT)
    made.facts = Facts(server=SCRIPT)
    return made
