"""logprobs and top_logprobs: probabilities that add up, in order, of the model itself, for the tokens of the text."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.steps import combined
from oruel.verify.probe import Probe, user
from oruel.verify.reply import REPLACEMENT, Json, Reply, TokenInfo, is_same_text
from oruel.verify.verdict import Exchange, Verdict, cant_tell, differs, honoured, refused
from oruel.verify.vocabulary import token_id

# Reported values are rounded, and sums of 20 of them may be off by as many roundings.
ROUNDING = 1e-3
# Two requests may be computed in different batches; a parameter that acts moves values by more than this, in nats.
SAME_WITHIN = 0.1
# Less probable tokens are noise.
LEAST_LOGPROB = -8.0
# Models answer with a word that is no JSON, and endpoints that require a mention of JSON find one.
NO_JSON = "What is JSON?"
PROMPTS = ("Tell me a story.", "Answer with some emoji: 🦊🙂 naïve 日本", "Name an animal.")
TOKENS = 24

END_TOKEN = "the end token has an entry"

Fault = Callable[[TokenInfo], str | None]


async def answers(probe: Probe, **fields: Any) -> list[Reply]:
    """Answers at a temperature that draws rare tokens too."""
    asked = {"logprobs": True, "top_logprobs": probe.facts.top_logprobs}
    settings = probe.neutral(**{"temperature": 1.5, "max_tokens": TOKENS, **asked, **fields})
    return [await probe.chat(**settings, **probe.fresh_seed(), messages=user(prompt)) for prompt in PROMPTS]


def check_positions(fault_of: Fault) -> Callable[[Probe], Any]:
    """Looks for a fault at every position of some answers."""

    async def run(probe: Probe) -> Verdict:
        replies = await answers(probe)
        positions = 0
        for reply in replies:
            for token in reply.tokens():
                positions += 1
                if fault := fault_of(token):
                    figures = {"token": token.text, "position": positions}
                    return differs(fault, figures=figures, exchanges=(reply.exchange,))
        if not positions:
            return cant_tell("the answers have no log-probabilities", exchanges=(replies[0].exchange,))
        return honoured(figures={"positions": positions}, exchanges=(replies[0].exchange,))

    return run


def fault_of_sum(token: TokenInfo) -> str | None:
    values = [token.logprob, *(log for _, log in token.top)]
    if not all(math.isfinite(value) for value in values):
        return "a value isn't finite"
    if max(values) > ROUNDING:
        return "a value is above 0"
    total = math.fsum(math.exp(log) for _, log in token.top)
    return f"probabilities add up to {total:.3f}" if total > 1 + ROUNDING * len(token.top) else None


def fault_of_order(token: TokenInfo) -> str | None:
    values = [log for _, log in token.top]
    return None if values == sorted(values, reverse=True) else "the entries aren't ordered, best first"


def fault_of_chosen(token: TokenInfo) -> str | None:
    """Different tokens may have the same text, so that any of their values will do. Parts of characters all do."""
    if REPLACEMENT in token.text:
        return None
    listed = [log for text, log in token.top if text == token.text]
    if listed and min(abs(log - token.logprob) for log in listed) > ROUNDING:
        return "the chosen token has another value than its entry"
    if not listed and token.top and token.logprob > max(log for _, log in token.top) + ROUNDING:
        return "the chosen token is missing from the entries, though it is more probable"
    return None


async def check_entries(probe: Probe) -> Verdict:
    most = probe.facts.top_logprobs
    parts = [await judge_entries(probe, count) for count in (None, *sorted({0, 1, 3, most}))]
    return replace(combined(parts), figures={"most": most})


async def judge_entries(probe: Probe, count: int | None) -> Verdict:
    """`count` None: top_logprobs isn't sent, so that a token needs no entries."""
    sent = "without top_logprobs" if count is None else f"with top_logprobs {count}"
    for reply in await answers(probe, top_logprobs=count, max_tokens=4):
        evidence = {"exchanges": (reply.exchange,)}
        if not reply.ok:
            return refused(f"status {reply.status} {sent}", **evidence)
        if not reply.tokens():
            return differs(f"no log-probabilities {sent}", **evidence)
        for token in reply.tokens():
            if count not in (None, len(token.top)):
                return differs(miscount(len(token.top) - count), **evidence)
    return honoured(**evidence)


def miscount(too_many: int) -> str:
    entries = "1 entry" if abs(too_many) == 1 else f"{abs(too_many)} entries"
    return f"{entries} {'more' if too_many > 0 else 'fewer'} than asked for"


async def check_bytes(probe: Probe) -> Verdict:
    drawn = [await answers(probe, temperature=one, max_tokens=probe.room(TOKENS)) for one in (1.5, 0, 2)]
    replies = list(chain.from_iterable(drawn))
    compared = 0
    for reply in replies:
        tokens = reply.tokens()
        if not tokens:
            continue
        if fault := fault_after_thoughts(reply) if reply.thoughts else fault_of_bytes(reply.text, tokens):
            figures = {"text": reply.text, "tokens": " | ".join(token.text for token in tokens)}
            return differs(fault, figures=figures, exchanges=(reply.exchange,))
        compared += len(tokens)
    return honoured(figures={"tokens": compared}) if compared else cant_tell("the answers have no log-probabilities")


def fault_of_bytes(text: str, tokens: Sequence[TokenInfo]) -> str | None:
    if any(token.bytes is None for token in tokens):
        return "bytes are missing"
    if not all(0 <= value < 256 for token in tokens for value in token.bytes or ()):
        return "bytes aren't between 0 and 255"
    content = b"".join(bytes(token.bytes or ()) for token in tokens)
    if is_same_text(content, text):
        return None
    without_last = b"".join(bytes(token.bytes or ()) for token in tokens[:-1])
    if is_same_text(without_last, text):
        return END_TOKEN
    if content.decode(errors="replace").strip() == text.strip():
        return "the text lacks white space that the tokens have"
    return "the tokens' bytes aren't the text"


def fault_after_thoughts(reply: Reply) -> str | None:
    """The tokens of thoughts and of their end may have entries, or not: some of the last tokens must be the text."""
    tokens = reply.tokens()
    faults = [fault_of_bytes(reply.text, tokens[first:]) for first in range(len(tokens))] if reply.text else [None]
    return None if None in faults else min(faults, key=lambda fault: fault != END_TOKEN)


async def check_before_parameters(probe: Probe) -> Verdict:
    """The first token's log-probabilities don't depend on filters, those after the same tokens not on penalties."""
    variants: dict[str, Json] = {"temperature": {"temperature": 0.5}}
    filters: dict[str, Json] = {"top_k": {"top_k": 2}, "top_p": {"top_p": 0.3}, "min_p": {"min_p": 0.5}}
    variants |= {name: fields for name, fields in filters.items() if name in probe.facts.accepts}
    plain = await ask(probe, temperature=1, max_tokens=1)
    if not plain.tokens():
        return cant_tell("the answers have no log-probabilities", exchanges=(plain.exchange,))
    listed = plain.tokens()[0].top
    can_bias = listed and "logit_bias" in probe.facts.accepts
    if can_bias and (best := await token_id(probe.endpoint, listed[0][0])) is not None:
        variants["logit_bias"] = {"logit_bias": {str(best): -5}}
    found, exchanges = [], [plain.exchange]
    for name, fields in variants.items():
        reply = await ask(probe, **{"temperature": 1, "max_tokens": 1, **fields})
        if reply.ok and not are_same(plain.tokens()[:1], reply.tokens()[:1]):
            found.append(name)
            exchanges.append(reply.exchange)
    penalised = await differs_with_penalties(probe)
    if penalised:
        found.append("the penalties")
        exchanges += penalised
    masked = await differs_in_json_mode(probe)
    if masked:
        found.append("response_format")
        exchanges += masked
    tried = [*variants, "the penalties", "response_format"]
    return judge_convention(probe, found, tried, tuple(exchanges[:3]))


def judge_convention(probe: Probe, found: list[str], tried: list[str], exchanges: tuple[Exchange, ...]) -> Verdict:
    where = f"after {', '.join(found)}" if found else "before all parameters"
    figures = {"reported": where, "tried": ", ".join(tried)}
    if probe.profile.name == "openai":
        return cant_tell(f"OpenAI doesn't say; they are reported {where}", figures=figures, exchanges=exchanges)
    if found:
        return differs(f"they are reported {where}", figures=figures, exchanges=exchanges)
    return honoured(figures=figures, exchanges=exchanges)


async def differs_with_penalties(probe: Probe) -> list[Exchange]:
    """At temperature 0 the texts are equal until the penalties act. As long as they are, and for one token more, the
    model's own probabilities are those of the same context.
    """
    penalties: Json = {"frequency_penalty": 2, "presence_penalty": 2}
    if not probe.facts.accepts.issuperset(penalties):
        return []
    plain, penalised = [await ask(probe, temperature=0, max_tokens=TOKENS, **fields) for fields in ({}, penalties)]
    pairs = list(zip(plain.tokens(), penalised.tokens(), strict=False))
    parted = next((i for i, (one, other) in enumerate(pairs) if one.text != other.text), len(pairs)) + 1
    same = are_same(plain.tokens()[:parted], penalised.tokens()[:parted])
    return [] if same else [plain.exchange, penalised.exchange]


async def differs_in_json_mode(probe: Probe) -> list[Exchange]:
    """The first token of an answer that is no JSON, with and without the mask. They can't be compared if the endpoint
    changes the prompt for JSON mode.
    """
    plain, masked = [
        await ask(probe, NO_JSON, temperature=1, max_tokens=1, **fields)
        for fields in ({}, {"response_format": {"type": "json_object"}})
    ]
    same_prompt = plain.usage.get("prompt_tokens") == masked.usage.get("prompt_tokens")
    same = are_same(plain.tokens()[:1], masked.tokens()[:1])
    return [] if same or not same_prompt else [plain.exchange, masked.exchange]


async def ask(probe: Probe, prompt: str = PROMPTS[0], **fields: Any) -> Reply:
    return await probe.chat(
        **probe.neutral(messages=user(prompt), **fields), logprobs=True, top_logprobs=probe.facts.top_logprobs
    )


def are_same(ours: Sequence[TokenInfo], theirs: Sequence[TokenInfo]) -> bool:
    """Whether entries agree wherever both list a token that isn't too rare, and the best are listed in both."""
    return all(agree(dict(one.top), dict(other.top)) for one, other in zip(ours, theirs, strict=False))


def agree(one: dict[str, float], other: dict[str, float]) -> bool:
    listed = {text: log for text, log in one.items() if log > LEAST_LOGPROB}
    near = all(abs(log - other[text]) <= SAME_WITHIN for text, log in listed.items() if text in other)
    best = sorted(listed, key=lambda text: -listed[text])[:3]
    return near and all(text in other for text in best)


CHECKS: tuple[Check, ...] = (
    Check(
        "logprobs.sum",
        "logprobs",
        "Are log-probabilities at most 0, and do probabilities add up to at most 1?",
        "Adds up the probabilities of the entries at every position of three answers at temperature 1.5.",
        tokens=150,
        run=check_positions(fault_of_sum),
        requires=("logprobs",),
    ),
    Check(
        "logprobs.order",
        "logprobs",
        "Are the entries ordered, best first?",
        "Compares neighbours at every position of three answers at temperature 1.5.",
        tokens=150,
        run=check_positions(fault_of_order),
        requires=("logprobs",),
    ),
    Check(
        "logprobs.chosen",
        "logprobs",
        "Does the chosen token have the same value as its entry among the most probable ones?",
        "Compares them at every position of three answers at temperature 1.5.",
        tokens=150,
        run=check_positions(fault_of_chosen),
        requires=("logprobs",),
    ),
    Check(
        "top_logprobs",
        "top_logprobs",
        "Are there as many entries as top_logprobs asks for?",
        "Asks for 0, 1, 3 and the largest number that the endpoint takes, and counts; and for tokens only.",
        tokens=300,
        run=check_entries,
        requires=("logprobs",),
    ),
    Check(
        "logprobs.bytes",
        "logprobs",
        "Do the tokens' bytes, joined, give the text?",
        "Joins the bytes of nine answers, also to a prompt that asks for emoji, at temperatures 0, 1.5 and 2, and "
        "compares them with the content. The end token must have no entry.",
        tokens=500,
        run=check_bytes,
        requires=("logprobs",),
    ),
    Check(
        "logprobs.before_parameters",
        "logprobs",
        "Are log-probabilities those of the model itself, before any parameter acts?",
        "Compares the first token's entries at temperature 1 with those at 0.5, with each filter and with logit_bias, "
        "those of an answer at temperature 0 with and without penalties, as long as the texts are the same, and those "
        "of an answer that is no JSON with and without JSON mode.",
        tokens=400,
        run=check_before_parameters,
        requires=("logprobs",),
    ),
)
