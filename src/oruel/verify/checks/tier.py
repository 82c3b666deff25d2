"""tier (Oru'el's) and service_tier (OpenAI's): accepted, echoed, and refused by name if unknown."""

from oruel.verify.check import Check
from oruel.verify.checks.steps import BUSY, combined, plain, refusal
from oruel.verify.probe import Probe
from oruel.verify.verdict import Verdict, differs, honoured, refused

TIERS = ("standard", "turbo")
# Those of OpenAI's that change nothing, and the names of tiers that may serve such a request.
NEUTRAL_TIERS = ("auto", "default")
SERVED = ("default", "standard", "auto", "priority", "scale", "flex")
UNKNOWN = "warp"


async def check_tier(probe: Probe) -> Verdict:
    await plain(probe, max_tokens=2)
    return combined(
        [await judge_served(probe, tier) for tier in TIERS] + [await judge_unknown(probe, "tier")],
    )


async def judge_served(probe: Probe, tier: str) -> Verdict:
    reply = await probe.chat(max_tokens=2, tier=tier)
    evidence = {"exchanges": (reply.exchange,)}
    if not reply.ok:
        return refusal(reply) if reply.status in BUSY else refused(f"{tier}: status {reply.status}", **evidence)
    echoed = reply.body.get("tier")
    if echoed is None:
        return differs("the answer doesn't say which tier served", **evidence)
    return honoured(**evidence) if echoed == tier else differs(f"{tier} is answered by another tier", **evidence)


async def check_service_tier(probe: Probe) -> Verdict:
    await plain(probe, max_tokens=2)
    parts = []
    for tier in NEUTRAL_TIERS:
        reply = await probe.chat(max_tokens=2, service_tier=tier)
        evidence = {"exchanges": (reply.exchange,)}
        if not reply.ok:
            part = refusal(reply) if reply.status in BUSY else refused(f"{tier}: status {reply.status}", **evidence)
        elif reply.body.get("service_tier") not in (None, *SERVED):
            part = differs("the answer names a tier that doesn't exist", **evidence)
        else:
            part = honoured(**evidence)
        parts.append(part)
    return combined([*parts, await judge_unknown(probe, "service_tier")])


async def judge_unknown(probe: Probe, name: str) -> Verdict:
    reply = await probe.chat(max_tokens=2, **{name: UNKNOWN})
    evidence = {"exchanges": (reply.exchange,)}
    if reply.status in BUSY:
        return refusal(reply)
    if reply.ok:
        return differs("an unknown tier is accepted", **evidence)
    if reply.status >= 500:
        return differs(f"an unknown tier fails with status {reply.status}", **evidence)
    return honoured(**evidence) if reply.names(name) else differs(f"the refusal doesn't name {name}", **evidence)


CHECKS: tuple[Check, ...] = (
    Check(
        "tier",
        "tier",
        "Are both tiers served and echoed, and an unknown one refused by name?",
        "Sends standard, turbo and an invented tier, and reads the answer's tier.",
        tokens=50,
        run=check_tier,
    ),
    Check(
        "service_tier",
        "service_tier",
        "Are OpenAI's neutral tiers accepted, and an unknown one refused by name?",
        "Sends auto, default and an invented tier.",
        tokens=50,
        run=check_service_tier,
    ),
)
