"""seed: the same seed gives the same answer at any load, and other seeds give other answers."""

import math
from collections.abc import Sequence
from itertools import takewhile

from oruel.verify.check import Check
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply, TokenInfo
from oruel.verify.verdict import Exchange, Figures, Verdict, cant_tell, differs, honoured, ignored, refused

# Answers to these differ at temperature 1 already in their first words.
PROMPTS = ("Tell me a story.", "Write the first line of a poem.", "Suggest a name for a cat.")
TOKENS = 24
REPEATS, OTHERS, CHOICES = 4, 12, 4
# Without log-probabilities, so many equal answers are taken to be no chance.
CONVINCING = 6
NO_TEXT = "the answers have no text"


def question(probe: Probe, prompt: str = PROMPTS[0], **fields: object) -> Json:
    asked = {"temperature": 1, "max_tokens": probe.visible(TOKENS), **probe.facts.token_fields}
    return probe.neutral(**asked, messages=user(prompt), **fields)


async def ask_in_turn(probe: Probe, requests: list[Json]) -> list[Reply]:
    return [await probe.chat(**one) for one in requests]


async def check_alone(probe: Probe) -> Verdict:
    """Repeats one after the other, with another seed between them, which would move a generator that is shared."""
    for prompt in PROMPTS:
        seed = probe.seed()
        request, other = question(probe, prompt, seed=seed), question(probe, prompt, seed=seed + 1)
        replies = await ask_in_turn(probe, [request, other] * REPEATS)
        if refusal := next((reply for reply in replies if not reply.ok), None):
            return refused(f"status {refusal.status}", exchanges=(refusal.exchange,))
        same, others = replies[0::2], replies[1::2]
        figures: Figures = {"seed": seed, "repeats": REPEATS, "answers": len(set(texts(same)))}
        if len(set(texts(same))) > 1:
            return unequal(same, figures)
        if len(set(texts(replies))) > 1:
            return honoured(figures=figures, exchanges=(same[0].exchange, others[0].exchange))
    return cant_tell("all answers are equal, whatever the seed")


def unequal(same: list[Reply], figures: Figures) -> Verdict:
    exchanges = exchanges_of_unequal(same)
    if len(set(texts(same))) == len(same):
        return ignored("every repetition gives another answer", figures=figures, exchanges=exchanges)
    return differs("repetitions give different answers now and then", figures=figures, exchanges=exchanges)


async def check_under_load(probe: Probe) -> Verdict:
    """Repeats while requests with other seeds, and without one, are in flight."""
    seed = probe.seed()
    request = question(probe, seed=seed)
    alone = await ask_in_turn(probe, [request, request])
    if not all(reply.ok for reply in alone):
        return refused(f"status {alone[0].status}", exchanges=(alone[0].exchange,))
    if alone[0].whole_text != alone[1].whole_text:
        return cant_tell("already alone, repetitions differ")
    prompts = [PROMPTS[i % len(PROMPTS)] for i in range(OTHERS)]
    load = [question(probe, one, **({"seed": probe.seed()} if i % 2 else {})) for i, one in enumerate(prompts)]
    mixed = [one for other in load for one in (request, other)]
    replies = await probe.endpoint.chats(mixed, at_once=len(mixed))
    ours = [reply for reply in replies[0::2] if reply.ok]
    theirs = [reply for i, reply in enumerate(replies[1::2]) if reply.ok and prompts[i] == PROMPTS[0]]
    figures: Figures = {
        "in flight": len(mixed),
        "repeats": len(ours),
        "differ": sum(reply.whole_text != alone[0].whole_text for reply in ours),
    }
    if not ours:
        return cant_tell("no request was answered under load")
    if wrong := next((reply for reply in ours if reply.whole_text != alone[0].whole_text), None):
        figures["first difference at character"] = length_in_common(wrong.whole_text, alone[0].whole_text)
        return differs(
            "the answer depends on what else is in flight",
            figures=figures,
            exchanges=(alone[0].exchange, wrong.exchange),
        )
    p_value = chance_of_repeating(alone[0].text_tokens(), len(theirs))
    if (
        theirs
        and all(reply.whole_text == alone[0].whole_text for reply in theirs)
        and is_no_chance(p_value, len(theirs), probe)
    ):
        return differs("one request's seed is used for others in flight", figures=figures, p_value=p_value)
    return honoured(figures=figures, exchanges=(alone[0].exchange,))


async def check_differs(probe: Probe) -> Verdict:
    """Different seeds, one after the other, must not all give one answer."""
    requests = [question(probe, seed=probe.seed()) for _ in range(CONVINCING + 1)]
    return judge_variety(probe, await ask_in_turn(probe, requests), "different seeds give one answer")


async def check_all_bits(probe: Probe) -> Verdict:
    """Seeds that differ in their upper 32 bits only."""
    bounds = probe.profile.ranges.get("seed")
    if bounds is None or bounds.high < 2**62:
        return cant_tell("the profile doesn't promise 64 bits")
    lower = probe.seed()
    requests = [question(probe, seed=lower + (upper << 32)) for upper in range(CONVINCING + 1)]
    return judge_variety(probe, await ask_in_turn(probe, requests), "only the lower 32 bits of a seed count")


async def check_unset(probe: Probe) -> Verdict:
    requests = [question(probe) for _ in range(CONVINCING + 1)]
    return judge_variety(probe, await ask_in_turn(probe, requests), "without a seed, every answer is the same")


def judge_variety(probe: Probe, replies: list[Reply], fault: str) -> Verdict:
    if refusal := next((reply for reply in replies if not reply.ok), None):
        return refused(f"status {refusal.status}", exchanges=(refusal.exchange,))
    if not any(texts(replies)):
        return cant_tell(NO_TEXT, exchanges=(replies[0].exchange,))
    distinct = len(set(texts(replies)))
    figures = {"answers": len(replies), "different": distinct}
    weak = not probe.facts.top_logprobs
    exchanges = (replies[0].exchange, replies[1].exchange)
    if distinct > 1:
        return honoured(figures=figures, exchanges=exchanges)
    p_value = chance_of_repeating(replies[0].text_tokens(), len(replies) - 1)
    if is_no_chance(p_value, len(replies) - 1, probe):
        return differs(fault, figures=figures, p_value=p_value, exchanges=exchanges, weak=weak)
    return cant_tell("the model gives one answer nearly always", figures=figures)


async def check_choices(probe: Probe) -> Verdict:
    """The choices of one request, with a seed, must not all be equal, and repeat together."""
    request = question(probe, seed=probe.seed(), n=CHOICES)
    first, again = await ask_in_turn(probe, [request, request])
    if not first.ok:
        return refused(f"status {first.status}", exchanges=(first.exchange,))
    figures = {"n": CHOICES, "choices": len(first.choices), "different": len(set(first.whole_texts))}
    if len(first.choices) != CHOICES:
        how = "there is a single choice" if len(first.choices) == 1 else "the number of choices isn't n"
        return differs(how, figures=figures, exchanges=(first.exchange,))
    if not any(first.whole_texts):
        return cant_tell(NO_TEXT, exchanges=(first.exchange,))
    if len(set(first.whole_texts)) == 1:
        p_value = chance_of_repeating(first.text_tokens(), CHOICES - 1)
        if is_no_chance(p_value, CHOICES - 1, probe):
            return differs("all choices are equal", figures=figures, p_value=p_value, exchanges=(first.exchange,))
        return cant_tell("the model gives one answer nearly always", figures=figures)
    if again.whole_texts != first.whole_texts:
        how = (
            "the choices come in another order"
            if sorted(again.whole_texts) == sorted(first.whole_texts)
            else "they don't repeat"
        )
        return differs(how, figures=figures, exchanges=(first.exchange, again.exchange))
    return honoured(figures=figures, exchanges=(first.exchange,))


def texts(replies: list[Reply]) -> list[str]:
    return [reply.whole_text for reply in replies]


def exchanges_of_unequal(replies: list[Reply]) -> tuple[Exchange, Exchange]:
    other = next(reply for reply in replies if reply.whole_text != replies[0].whole_text)
    return replies[0].exchange, other.exchange


def length_in_common(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def chance_of_repeating(tokens: Sequence[TokenInfo], times: int) -> float | None:
    """The probability that independent draws at temperature 1 give the same tokens as often again. None: unknown."""
    return math.exp(times * min(0.0, math.fsum(one.logprob for one in tokens))) if tokens else None


def is_no_chance(p_value: float | None, times: int, probe: Probe) -> bool:
    return times >= CONVINCING - 1 if p_value is None else p_value <= probe.alpha


CHECKS: tuple[Check, ...] = (
    Check(
        "seed",
        "seed",
        "Does the same seed give the same answer?",
        f"Asks one question {REPEATS} times at temperature 1 with one seed, and another seed in between. All answers "
        "with the first seed must be equal, on a prompt where other seeds give other answers.",
        tokens=400,
        run=check_alone,
    ),
    Check(
        "seed.under_load",
        "seed",
        "Does the same seed give the same answer while other requests are in flight?",
        f"Sends {OTHERS} repetitions at once with {OTHERS} other requests, half of them with other seeds and half "
        "without, and compares each repetition with the answer that came alone.",
        tokens=1500,
        run=check_under_load,
        requires=("seed",),
    ),
    Check(
        "seed.differs",
        "seed",
        "Do different seeds give different answers?",
        "Asks one question with seven seeds. If all answers are equal, the p-value is the probability of that answer "
        "under the log-probabilities, to the sixth power.",
        tokens=300,
        run=check_differs,
        requires=("seed",),
    ),
    Check(
        "seed.all_bits",
        "seed",
        "Do all 64 bits of a seed count?",
        "As seed.differs, with seeds that differ in their upper 32 bits only.",
        tokens=300,
        run=check_all_bits,
        requires=("seed",),
    ),
    Check(
        "seed.unset",
        "seed",
        "Do answers differ when no seed is given?",
        "As seed.differs, without a seed.",
        tokens=300,
        run=check_unset,
    ),
    Check(
        "seed.choices",
        "seed",
        "Do the n choices of one request differ from each other, and repeat with the seed?",
        f"Asks twice for n = {CHOICES} with one seed. Equal choices count as a fault if their probability is "
        "negligible.",
        tokens=300,
        run=check_choices,
        requires=("seed", "n"),
    ),
)
