"""Penalties at temperature 0, read off the choices: each chosen token must be the best one after the penalties, by the
log-probabilities that come with it. Needs no logit_bias, but says nothing where no choice depends on the penalty.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oruel.verify.penalty_laws import IGNORED, LAWS, PROMISED, Law
from oruel.verify.probe import PROMPTS, Probe, is_plain, user
from oruel.verify.reply import Reply, TokenInfo
from oruel.verify.verdict import Figures, Verdict, cant_tell, differs, honoured, ignored

# Tokens closer than this, in nats, may change places with the batch that a request is computed in.
NEARLY_TIED = 0.1
TOKENS = 48
SIZES = (2.0, -1.0)
NO_LAW = "choices contradict the penalty"


@dataclass(frozen=True, slots=True)
class Choices:
    """The laws that no choice contradicts, and the answers they were found in: none that have thoughts and text, since
    the tokens between these may be forced.
    """

    fitting: list[str]
    replies: list[Reply]
    figures: Figures


async def check_by_greedy_choices(probe: Probe, parameter: str, possible: Sequence[str] = tuple(LAWS)) -> Verdict:
    """`possible` are the laws that nothing else rules out."""
    if not probe.facts.top_logprobs:
        return cant_tell("it needs logit_bias and token ids, or log-probabilities")
    choices = await choose_greedily(probe, parameter)
    if not choices.replies:
        return cant_tell("the answers have thoughts and text, with other tokens between them")
    evidence: dict[str, Any] = {"figures": choices.figures, "exchanges": (choices.replies[0].exchange,)}
    if choices.fitting == [IGNORED] and await changes_answers(probe, choices.replies):
        return cant_tell("log-probabilities are reported after the penalties", **evidence)
    if not choices.fitting and not await chooses_the_best(probe):
        return cant_tell("without it too, tokens are chosen that aren't the most probable", **evidence)
    return judge(PROMISED[parameter], [name for name in choices.fitting if name in possible], evidence)


async def choose_greedily(probe: Probe, parameter: str) -> Choices:
    wrong: Counter[str] = Counter()
    replies: list[Reply] = []
    for size in SIZES:
        for prompt in PROMPTS[:4]:
            reply = await answer(probe, prompt, TOKENS, **{parameter: size})
            replies.append(reply)
            tokens = [] if reply.ended_thoughts else reply.tokens()
            wrong.update({name: contradictions(tokens, size, law, prompt) for name, law in LAWS.items()})
    replies = [reply for reply in replies if not reply.ended_thoughts]
    fitting = [name for name in LAWS if not wrong[name]]
    figures: Figures = {
        "tokens": sum(len(reply.tokens()) for reply in replies),
        "contradictions": wrong[PROMISED[parameter]],
        "contradictions if it were ignored": wrong[IGNORED],
    }
    return Choices(fitting, replies, figures)


async def chooses_the_best(probe: Probe) -> bool:
    """Without a penalty. A default that isn't sent contradicts every law of this one."""
    plain = [(prompt, await answer(probe, prompt, TOKENS)) for prompt in PROMPTS[:4]]
    compared = [(prompt, reply.tokens()) for prompt, reply in plain if not reply.ended_thoughts]
    return not any(contradictions(tokens, 0.0, LAWS[IGNORED], prompt) for prompt, tokens in compared)


async def changes_answers(probe: Probe, replies: Sequence[Reply]) -> bool:
    plain = {(await answer(probe, prompt, TOKENS)).whole_text for prompt in PROMPTS[:4]}
    return any(reply.whole_text not in plain for reply in replies)


def judge(promised: str, fitting: list[str], evidence: dict[str, Any]) -> Verdict:
    if fitting == [promised]:
        return honoured(**evidence, weak=True)
    if promised in fitting:
        return cant_tell("no choice depended on the penalty", **evidence)
    if fitting == [IGNORED]:
        return ignored("every choice is the one without it", **evidence)
    return differs(fitting[0] if len(fitting) == 1 else NO_LAW, **evidence)


def contradictions(tokens: Sequence[TokenInfo], size: float, law: Law, prompt: str = "") -> int:
    """Positions where a listed token is clearly better, after the penalties, than the chosen one. Tokens of the prompt
    say nothing: whether they count is another question.
    """
    counts: Counter[str] = Counter()
    found = 0
    for length, token in enumerate(tokens):
        listed = [(text, log) for text, log in token.top if is_new(text, prompt)]
        best = max((log - size * law(counts[text], length) for text, log in listed), default=-math.inf)
        chosen = token.logprob - size * law(counts[token.text], length)
        if is_new(token.text, prompt) and best > chosen + NEARLY_TIED:
            found += 1
        counts[token.text] += 1
    return found


def is_new(text: str, prompt: str) -> bool:
    return is_plain(text) and text.strip() not in prompt


async def find_rewarded_repeat(probe: Probe, penalty: float) -> Verdict | None:
    """A repeat that is chosen at temperature 0 although a new token is more probable, in spite of a penalty above 1.
    Servers that divide negative logits too make repeats more probable, in models whose logits are negative.
    """
    if not probe.facts.top_logprobs:
        return None
    for prompt in PROMPTS:
        reply = await answer(probe, prompt, 12, repetition_penalty=penalty)
        if not reply.ended_thoughts and (rewarded := rewarded_repeat(reply.tokens(), prompt)):
            better, value = max(rewarded.top, key=lambda entry: entry[1])
            figures = {"repeated": rewarded.text, "logprob": rewarded.logprob, "new": better, "its logprob": value}
            return differs(
                "negative logits are divided: repeats are rewarded", figures=figures, exchanges=(reply.exchange,)
            )
    return None


def rewarded_repeat(tokens: Sequence[TokenInfo], prompt: str) -> TokenInfo | None:
    seen: set[str] = set()
    for token in tokens:
        better = [text for text, log in token.top if log > token.logprob + NEARLY_TIED and is_new(text, prompt)]
        if token.text in seen and is_plain(token.text) and any(text not in seen for text in better):
            return token
        seen.add(token.text)
    return None


async def answer(probe: Probe, prompt: str, count: int, **fields: float) -> Reply:
    asked = probe.neutral(temperature=0, max_tokens=count, messages=user(prompt), **fields)
    return await probe.chat(**asked, logprobs=True, top_logprobs=probe.facts.top_logprobs)
