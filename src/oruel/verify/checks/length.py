"""max_tokens: exact, under both of its names, and at the edge of the context."""

from functools import partial

from oruel.verify.check import Check
from oruel.verify.checks.steps import STORY, combined, confirmed, greedy, plain, refusal, served
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply
from oruel.verify.verdict import Concluded, Verdict, cant_tell, differs, honoured, ignored, refused

LENGTHS = (1, 7)
# The uncut text must be longer than the cut ones.
UNCUT = 24
# More than any model's context, yet within every profile's range.
FAR_ABOVE = 131_072
# Filling a larger context costs more than the answer is worth.
LARGEST_CONTEXT = 16_384
ROOM_AT_EDGE = 8
FILLER = " apple"
LENGTH_ERRORS = ("context_length_exceeded", "context length", "context window", "context size", "maximum context")


def generated(reply: Reply) -> int | None:
    """Tokens generated: counted from the log-probabilities, or else as reported. Thoughts have no log-probabilities."""
    return (0 if reply.thoughts else len(reply.tokens())) or reply.completion_tokens


def is_shortened(reply: Reply, whole: Reply) -> bool:
    """By what is seen of the texts; if thoughts are hidden, and nothing else came, by the numbers of tokens."""
    if whole.whole_text:
        return len(reply.whole_text) < len(whole.whole_text)
    return (generated(reply) or 0) < (generated(whole) or 0)


async def long_text(probe: Probe) -> Reply:
    reply = await greedy(probe, UNCUT)
    if (generated(reply) or 0) <= max(LENGTHS) and reply.finish != "length":
        raise Concluded(cant_tell("the model's own text is too short", exchanges=(reply.exchange,)))
    return reply


async def cut(probe: Probe, field: str, length: int) -> Reply:
    return await served(probe, messages=user(STORY), temperature=0, **{field: length}, **probe.facts.token_fields)


async def check_exact(field: str, probe: Probe) -> Verdict:
    whole = await long_text(probe)
    return combined([judge_length(await cut(probe, field, length), length, whole) for length in LENGTHS])


def judge_length(reply: Reply, length: int, whole: Reply) -> Verdict:
    evidence = {"figures": {f"tokens for {length}": generated(reply) or "not reported"}, "exchanges": (reply.exchange,)}
    count = generated(reply)
    if count is None:
        return judge_without_counts(reply, whole)
    if count == length:
        return honoured(**evidence)
    if not is_shortened(reply, whole):
        return ignored(f"{length} doesn't shorten the text", **evidence)
    return differs(f"{length} gives {count} tokens", **evidence)


def judge_without_counts(reply: Reply, whole: Reply) -> Verdict:
    evidence = {"exchanges": (reply.exchange,), "weak": True}
    if whole.whole_text and not is_shortened(reply, whole):
        return ignored("the text isn't shortened", **evidence)
    return cant_tell("neither log-probabilities nor usage count the tokens", **evidence)


async def check_finish(probe: Probe) -> Verdict:
    """Whatever the longer text's own finish_reason says, a text that goes on with more tokens has been cut."""
    whole = await greedy(probe, UNCUT)
    parts = []
    for length in LENGTHS:
        reply = await cut(probe, "max_tokens", length)
        if not is_shortened(reply, whole):
            return cant_tell("max_tokens doesn't shorten the text", exchanges=(reply.exchange,))
        right = reply.finish == "length"
        how = f"finish_reason is {reply.finish}, not length, when max_tokens cuts the text"
        parts.append((honoured if right else partial(differs, how))(exchanges=(reply.exchange,)))
    return combined(parts)


async def check_conflict(probe: Probe) -> Verdict:
    """Both names with different values."""
    await plain(probe, max_tokens=4)
    reply = await probe.chat(messages=user(STORY), temperature=0, max_tokens=3, max_completion_tokens=9)
    evidence = {"exchanges": (reply.exchange,)}
    if not probe.profile.clamps_length:
        return cant_tell("the profile doesn't say which one wins", **evidence)
    if reply.ok:
        return differs(f"accepted: {generated(reply)} tokens for max_tokens 3, max_completion_tokens 9", **evidence)
    return honoured(**evidence) if reply.names("max_completion_tokens") else differs("refused, but not by name")


async def check_above_context(probe: Probe) -> Verdict:
    """As a stream that is left after its first events, since the text might fill the context."""
    await plain(probe, max_tokens=4)
    stream = await probe.endpoint.stream(leave_after=3, messages=user(STORY), max_tokens=FAR_ABOVE)
    shown = {"max_tokens": FAR_ABOVE, "context": probe.facts.context or "unknown"}
    if stream.ok:
        return honoured(figures={**shown, "found": "clamped"}, exchanges=(stream.exchange,))
    if probe.profile.clamps_length or stream.refusal is None:
        return refusal(stream.refusal or stream)
    if names_length(stream.refusal):
        return honoured(figures={**shown, "found": "refused"}, exchanges=(stream.exchange,))
    return refused(f"status {stream.status}, for another reason than the length", exchanges=(stream.exchange,))


def names_length(reply: Reply) -> bool:
    said = reply.error_text.lower()
    return "max_tokens" in said or any(one in said for one in LENGTH_ERRORS)


async def filled(probe: Probe, prompt_tokens: int) -> Json:
    """Messages of about that many tokens, at most one filler less."""
    counts = []
    for fillers in (10, 20):
        reply = await plain(probe, messages=user(FILLER * fillers), max_tokens=1)
        counts.append(reply.usage.get("prompt_tokens"))
    short, longer = counts
    if not isinstance(short, int) or not isinstance(longer, int) or longer <= short:
        raise Concluded(cant_tell("usage doesn't count the prompt"))
    each = (longer - short) / 10
    return {"messages": user(FILLER * (10 + int((prompt_tokens - short) / each)))}


def affordable_context(probe: Probe) -> int:
    context = probe.facts.context
    if context is None:
        raise Concluded(cant_tell("the endpoint doesn't report its context length"))
    if context > LARGEST_CONTEXT:
        raise Concluded(cant_tell(f"filling a context of {context:,} tokens costs too much"))
    return context


async def check_edge(probe: Probe) -> Verdict:
    context = affordable_context(probe)
    request = await filled(probe, context - ROOM_AT_EDGE)
    reply = await served(probe, **request, temperature=0, max_tokens=4 * ROOM_AT_EDGE)
    used = reply.usage.get("total_tokens")
    evidence = {
        "figures": {"context": context, "tokens used": used or "not reported"},
        "exchanges": (reply.exchange,),
    }
    if not isinstance(used, int):
        return cant_tell("usage isn't reported", **evidence)
    if used > context:
        return differs("more tokens than the context are used", **evidence)
    if reply.finish == "length" and reply.completion_tokens == 4 * ROOM_AT_EDGE:
        return cant_tell("the prompt left more room than planned", **evidence)
    if reply.finish == "length":
        # The context's last place may be left free: the last token needn't be evaluated.
        return honoured(**evidence) if context - used <= 1 else differs("cut before the context is full", **evidence)
    if reply.finish == "stop":
        return cant_tell("the model ended its text before the context was full", **evidence)
    return differs(f"finish_reason is {reply.finish}, not length, at the context's end", **evidence)


async def check_overfull(probe: Probe) -> Verdict:
    context = affordable_context(probe)
    reply = await probe.chat(**await filled(probe, context + 200), max_tokens=4)
    evidence = {"figures": {"context": context}, "exchanges": (reply.exchange,)}
    if reply.ok:
        return differs("a prompt longer than the context is cut in silence", **evidence)
    if reply.status >= 500:
        return differs(f"a prompt longer than the context fails with status {reply.status}", **evidence)
    return honoured(**evidence) if names_length(reply) else differs("the refusal doesn't say why", **evidence)


CHECKS: tuple[Check, ...] = (
    Check(
        "max_tokens",
        "max_tokens",
        "Does max_tokens give exactly that many tokens?",
        "Cuts a long text at temperature 0 to 1 and to 7 tokens, and counts the log-probabilities (or else usage).",
        tokens=150,
        run=confirmed(partial(check_exact, "max_tokens")),
    ),
    Check(
        "max_tokens.finish_reason",
        "max_tokens",
        "Is finish_reason length when max_tokens cuts the text?",
        "Cuts a long text at temperature 0 to 1 and to 7 tokens.",
        tokens=150,
        run=confirmed(check_finish),
    ),
    Check(
        "max_completion_tokens",
        "max_completion_tokens",
        "Is max_completion_tokens the same as max_tokens?",
        "Cuts a long text at temperature 0 to 1 and to 7 tokens, and counts the log-probabilities (or else usage).",
        tokens=150,
        run=confirmed(partial(check_exact, "max_completion_tokens")),
    ),
    Check(
        "max_completion_tokens.conflict",
        "max_completion_tokens",
        "Are two different values under the two names refused?",
        "Sends max_tokens 3 and max_completion_tokens 9.",
        tokens=20,
        run=check_conflict,
    ),
    Check(
        "max_tokens.above_context",
        "max_tokens",
        "Is a max_tokens larger than the context cut to the room left?",
        "Streams an answer with max_tokens 131,072 and leaves after its first events. OpenAI's profile also allows a "
        "refusal that says so.",
        tokens=70,
        run=check_above_context,
    ),
    Check(
        "max_tokens.context_edge",
        "max_tokens",
        "Does a text that reaches the context's end stop there, with finish_reason length?",
        "Fills the context up to 8 tokens, asks for 32, and compares usage with the context's length.",
        tokens=5000,
        run=check_edge,
    ),
    Check(
        "max_tokens.overfull_context",
        "max_tokens",
        "Is a prompt longer than the context refused, rather than cut?",
        "Sends a prompt 200 tokens longer than the context.",
        tokens=100,
        run=check_overfull,
    ),
)
