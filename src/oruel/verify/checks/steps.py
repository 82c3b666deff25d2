"""Steps that the deterministic checks share. Each ends the check if it can't be taken."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from oruel.verify.probe import Probe, user
from oruel.verify.reply import Reply, StreamReply
from oruel.verify.verdict import Concluded, Outcome, Verdict, cant_tell, honoured, refused

# Its answer is long with most models.
STORY = "Tell me a story."
BUSY = (429, 503)
ONLY_THOUGHTS = "max_tokens ends the answer while the model still thinks"
TOKENS_TO_REPEAT = 24
# A combined verdict shows so many exchanges: one of each of its first faults.
MAX_EXCHANGES = 3
# The outcome of a combination is the first of these that one of its parts has.
GRAVEST_FIRST = (Outcome.DIFFERS, Outcome.IGNORED, Outcome.REFUSED, Outcome.CANT_TELL, Outcome.HONOURED)


async def plain(probe: Probe, **fields: Any) -> Reply:
    """A request without the parameter in question. If it isn't served, nothing can be told."""
    reply = await probe.chat(**fields)
    if not reply.ok:
        raise Concluded(
            cant_tell(f"the request without it is answered with status {reply.status}", exchanges=(reply.exchange,))
        )
    return reply


async def served(probe: Probe, **fields: Any) -> Reply:
    """A request with the parameter in question. Its refusal is the verdict."""
    reply = await probe.chat(**fields)
    if not reply.ok:
        raise Concluded(refusal(reply))
    return reply


async def streamed(probe: Probe, **fields: Any) -> StreamReply:
    """Like `served`, as a stream."""
    reply = await probe.endpoint.stream(**fields)
    if not reply.ok:
        raise Concluded(refusal(reply.refusal or reply))
    return reply


def refusal(reply: Reply | StreamReply) -> Verdict:
    if reply.status in BUSY:
        return cant_tell(f"the endpoint is busy: status {reply.status}", exchanges=(reply.exchange,))
    how = "an answer without choices" if reply.status == 200 else f"status {reply.status}"
    return refused(how, exchanges=(reply.exchange,))


async def greedy(probe: Probe, tokens: int, prompt: str = STORY) -> Reply:
    """The endpoint's own text at temperature 0. Requests it twice, and ends the check if the texts differ."""
    fields = {"messages": user(prompt), "temperature": 0, "max_tokens": tokens}
    fields |= probe.facts.token_fields
    first, second = await plain(probe, **fields), await plain(probe, **fields)
    if first.whole_text != second.whole_text:
        raise Concluded(
            cant_tell("the text at temperature 0 doesn't repeat", exchanges=(first.exchange, second.exchange))
        )
    return first


def if_repeatable(run: Callable[[Probe], Awaitable[Verdict]]) -> Callable[[Probe], Awaitable[Verdict]]:
    """A check that rests on the most probable tokens: its fault counts only if the text at temperature 0 repeats."""

    async def run_greedy_on_fault(probe: Probe) -> Verdict:
        verdict = await run(probe)
        if verdict.outcome.is_fault:
            await greedy(probe, TOKENS_TO_REPEAT)
        return verdict

    return run_greedy_on_fault


def confirmed(run: Callable[[Probe], Awaitable[Verdict]]) -> Callable[[Probe], Awaitable[Verdict]]:
    """A check that rests on repeatable text: its fault counts only if a second run finds the same one."""

    async def run_again_on_fault(probe: Probe) -> Verdict:
        verdict = await run(probe)
        if not verdict.outcome.is_fault:
            return verdict
        again = await run(probe)
        if (again.outcome, again.how) == (verdict.outcome, verdict.how):
            return verdict
        return cant_tell(f"a fault ({verdict.how}) did not show again", exchanges=verdict.exchanges)

    return run_again_on_fault


def combined(parts: Iterable[Verdict]) -> Verdict:
    """One verdict over several cases: the gravest outcome, and what each case that isn't honoured found."""
    parts = list(parts)
    outcome = next((one for one in GRAVEST_FIRST if any(part.outcome is one for part in parts)), None)
    if outcome is None:
        return cant_tell("there is nothing to test")
    found = [part for part in parts if part.outcome not in (Outcome.HONOURED, Outcome.CANT_TELL)]
    if outcome is Outcome.CANT_TELL:
        found = [part for part in parts if part.outcome is Outcome.CANT_TELL]
    figures = {name: value for part in parts for name, value in part.figures.items()}
    shown = found or parts
    exchanges = [exchange for part in shown for exchange in part.exchanges[:1]][:MAX_EXCHANGES]
    if outcome is Outcome.HONOURED:
        return honoured(figures=figures, exchanges=tuple(exchanges[:1]))
    how = "; ".join(dict.fromkeys(part.how for part in found if part.how))
    return Verdict(outcome, how, figures, exchanges=tuple(exchanges))


def combined_cases(cases: Iterable[tuple[str, Verdict]]) -> Verdict:
    """Like `combined`, with a name for each case. Cases of which the same is said share a phrase."""
    named: dict[tuple[Outcome, str], list[str]] = {}
    firsts: dict[tuple[Outcome, str], Verdict] = {}
    for name, verdict in cases:
        key = (verdict.outcome, verdict.how)
        named.setdefault(key, []).append(name)
        firsts.setdefault(key, verdict)
    return combined(
        replace(firsts[key], how=f"{', '.join(names)}: {key[1]}" if key[1] else "") for key, names in named.items()
    )


def told(parts: Iterable[Verdict]) -> list[Verdict]:
    """Of repeated tries, those that could be told; all if none could."""
    parts = list(parts)
    return [part for part in parts if part.outcome is not Outcome.CANT_TELL] or parts
