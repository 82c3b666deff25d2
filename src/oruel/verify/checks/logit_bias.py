"""logit_bias: added to the logits of tokens, by their ids."""

from oruel.verify.balance import MOST_BIAS, PROMPT, SOME_IDS, Balance, find_rivals
from oruel.verify.check import Check
from oruel.verify.checks.steps import if_repeatable
from oruel.verify.probe import Probe, user
from oruel.verify.verdict import Figures, Verdict, cant_tell, differs, honoured, ignored, refused

TOLERANCE = 0.4


async def check_bias(probe: Probe) -> Verdict:
    if "logit_bias" not in probe.facts.accepts:
        reply = await probe.chat(max_tokens=1, logit_bias={str(SOME_IDS[0]): 1})
        if not reply.ok:
            return refused(f"status {reply.status}", exchanges=(reply.exchange,))
    rivals = await find_rivals(probe)
    if rivals is None:
        return await judge_without_tokens(probe)
    forbidden = await forbid_first(probe, str(rivals.weighed.id), rivals.weighed.text)
    if forbidden:
        return forbidden
    weights = [await Balance(probe, rivals, bias=bias).weigh(1) for bias in (50.0, 90.0)]
    if any(weight.clipped for weight in weights):
        return cant_tell("the tokens that were weighed are too different", exchanges=weights[0].exchanges)
    light, heavy = weights
    figures: Figures = {"gap at bias 50, nats": round(light.gap, 2), "gap at bias 90, nats": round(heavy.gap, 2)}
    if abs(heavy.gap - light.gap) > TOLERANCE:
        return differs("the bias isn't added as it is", figures=figures, exchanges=heavy.exchanges)
    if light.penalty is not None:
        figures["in addition to the tokens' own lead, nats"] = round(light.penalty, 2)
    return honoured(figures=figures, exchanges=light.exchanges)


async def forbid_first(probe: Probe, id: str, text: str) -> Verdict | None:
    """A bias of -100 forbids a token that would come otherwise."""
    asked = probe.neutral(temperature=0, max_tokens=1, messages=user(PROMPT), **probe.facts.token_fields)
    reply = await probe.chat(**asked, logit_bias={id: -MOST_BIAS})
    if reply.ok and reply.whole_text == text:
        return differs(f"-{MOST_BIAS:g} doesn't forbid a token", exchanges=(reply.exchange,))
    return None


async def judge_without_tokens(probe: Probe) -> Verdict:
    """Tokens that can't be brought about may not exist, or the parameter may be ignored: then no answer changes."""
    asked = probe.neutral(temperature=0, max_tokens=probe.visible(4), messages=user(PROMPT))
    plain = await probe.chat(**asked)
    replies = [await probe.chat(**asked, logit_bias={str(id): MOST_BIAS}) for id in SOME_IDS[:8]]
    answered = [reply for reply in replies if reply.ok]
    if plain.whole_text and answered and all(reply.whole_text == plain.whole_text for reply in answered):
        figures: Figures = {"ids tried": len(answered)}
        exchanges = (plain.exchange, answered[0].exchange)
        return ignored("a bias of 100 changes nothing", figures=figures, exchanges=exchanges)
    return cant_tell("no tokens were found that logit_bias brings about")


CHECKS: tuple[Check, ...] = (
    Check(
        "logit_bias",
        "logit_bias",
        "Is the bias added to the logits of the tokens with these ids?",
        "At temperature 0, 100 must force a token, -100 must forbid it, and the choice between two lifted tokens must "
        "flip at the same difference in bias, however far both are lifted.",
        tokens=1200,
        run=if_repeatable(check_bias),
    ),
)
