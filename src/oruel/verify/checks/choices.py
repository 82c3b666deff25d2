"""n: as many choices as asked for, each with its own index."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.steps import STORY, combined, plain, refusal, streamed
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply, StreamReply
from oruel.verify.verdict import Verdict, differs, honoured, ignored

COUNTS = (1, 3, 8)
TOKENS = 4


def request(probe: Probe, count: int | None) -> Json:
    return {"messages": user(STORY), "temperature": 1, "max_tokens": TOKENS, "n": count}


def judge(indices: Sequence[Any], count: int, where: str, **evidence: Any) -> Verdict:
    evidence["figures"] = {f"choices for n {count}{where}": len(indices)}
    if sorted(indices, key=str) == list(range(count)):
        return honoured(**evidence)
    if len(indices) == 1:
        return ignored(f"there is a single choice{where}", **evidence)
    if len(indices) != count:
        return differs(f"the number of choices isn't n{where}", **evidence)
    return differs(f"the indices of the choices aren't 0 to n − 1{where}", **evidence)


async def check_choices(probe: Probe) -> Verdict:
    await plain(probe, **request(probe, None))
    parts = []
    for count in COUNTS:
        reply = await probe.chat(**request(probe, count))
        indices = [choice.get("index") for choice in reply.choices]
        evidence = {"exchanges": (reply.exchange,)}
        parts.append(judge(indices, count, "", **evidence) if reply.ok else judge_refusal(reply, count))
    return combined(parts)


def judge_refusal(reply: Reply, count: int) -> Verdict:
    verdict = refusal(reply)
    return replace(verdict, how=f"n {count}: {verdict.how}")


async def check_stream(probe: Probe) -> Verdict:
    await plain(probe, **request(probe, None))
    stream = await streamed(probe, **request(probe, 3))
    seen, finished = indices_in(stream), indices_in(stream, finished=True)
    evidence = {"exchanges": (stream.exchange,)}
    if len(finished) < len(set(seen)):
        figures = {"choices in a stream": len(set(seen)), "finished": len(finished)}
        return differs("not every choice has a finish_reason in a stream", figures=figures, **evidence)
    return judge(finished, 3, " in a stream", **evidence)


def indices_in(stream: StreamReply, finished: bool = False) -> list[Any]:
    """The index of each choice in each chunk, or in each with a finish_reason."""
    choices = [chunk.data.get("choices") or [] for chunk in stream.chunks if isinstance(chunk.data, dict)]
    objects = [one for found in choices for one in found if isinstance(one, dict)]
    return [one.get("index") for one in objects if one.get("finish_reason") or not finished]


CHECKS: tuple[Check, ...] = (
    Check(
        "n",
        "n",
        "Does n give that many choices, with indices from 0 on?",
        "Asks for 1, 3 and 8 short choices.",
        tokens=110,
        run=check_choices,
    ),
    Check(
        "n.stream",
        "n",
        "Does a stream finish that many choices, each under its own index?",
        "Streams 3 short choices.",
        tokens=50,
        run=check_stream,
    ),
)
