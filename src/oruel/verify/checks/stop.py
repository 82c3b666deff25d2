"""stop: texts taken from the endpoint's own greedy text, so that it is known where the answer must end."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.steps import BUSY, STORY, combined, confirmed, greedy, plain, refusal, served, streamed
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply
from oruel.verify.verdict import Concluded, Verdict, cant_tell, differs, honoured, ignored, refused

TOKENS = 96
# Enough for a stop text of 256 characters.
LONG_TOKENS = 160
LONGEST_STOP = 256
# Its answer has characters of several bytes with most models.
MULTI_BYTE = ("Repeat after me: naïve café 日本 🙂", "Write the French words naïve, café and élève.")
# No model writes this.
NEVER = "\u241e\u241f"


@dataclass(frozen=True, slots=True)
class Source:
    """The endpoint's own text. `ends` are the positions after each token, or after each word if tokens are unknown."""

    prompt: str
    tokens: int
    reply: Reply
    ends: tuple[int, ...]
    exact: bool
    hides_thoughts: bool

    @property
    def text(self) -> str:
        return self.reply.text

    @property
    def has_thoughts(self) -> bool:
        return self.hides_thoughts or bool(self.reply.thoughts)

    def begins_at(self, stop: str, start: int) -> bool:
        """Whether the stop text occurs there first. Some servers look for it in thoughts too, others don't."""
        return self.text.find(stop) == start and stop not in self.reply.thoughts

    def request(self, stop: Any) -> Json:
        return {"messages": user(self.prompt), "temperature": 0, "max_tokens": self.tokens, "stop": stop}


async def source(probe: Probe, tokens: int = TOKENS, prompt: str = STORY) -> Source:
    reply = await greedy(probe, probe.room(tokens), prompt)
    ends = token_ends(reply)
    words = tuple(i for i, letter in enumerate(reply.text) if letter == " ")
    return Source(prompt, probe.room(tokens), reply, ends or words, bool(ends), probe.facts.hides_thoughts)


def token_ends(reply: Reply) -> tuple[int, ...]:
    """Positions in characters, from the tokens' bytes where they are given. Empty if they don't make up the text."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    ends, text = [], ""
    for token in reply.text_tokens():
        text += decoder.decode(bytes(token.bytes)) if token.bytes else token.text
        ends.append(len(text))
    return tuple(ends) if text + decoder.decode(b"", final=True) == reply.text else ()


def first_match(text: str, stops: Sequence[str]) -> tuple[int, int]:
    """Start and end of the match that ends first; among those that end together, of the longest."""
    found = [(start + len(stop), -len(stop), start) for stop in stops if (start := text.find(stop)) >= 0]
    end, _, start = min(found)
    return start, end


def excerpt(from_: Source, start: int, length: int) -> str:
    """The first excerpt from there on that occurs nowhere before. Ends the check if there is none."""
    for first in range(max(start, 1), len(from_.text) - length + 1):
        found = from_.text[first : first + length]
        if from_.begins_at(found, first) and found.strip() == found:
            return found
    raise Concluded(cant_tell("the model's own text is too short, or repeats itself"))


def across_tokens(from_: Source) -> str:
    """Begins inside one token and ends inside another."""
    text, ends = from_.text, from_.ends
    middle = [end for end in ends if end > len(text) // 3]
    for before, after in pairwise(middle):
        for reach in range(2, 12):
            start, end = before - 1, before + reach
            inside = start > 0 and start not in ends and end not in ends and after <= end < len(text)
            if inside and from_.begins_at(text[start:end], start):
                return text[start:end]
    raise Concluded(cant_tell("the model's own text has no fitting place"))


def judge_text(text: str, whole: str, stops: Sequence[str], **evidence: Any) -> Verdict:
    start, end = first_match(whole, stops)
    expected, stop = whole[:start], whole[start:end]
    if text == expected:
        return honoured(**evidence)
    if text == whole:
        return ignored("the text goes on after the stop text", **evidence)
    if text == whole[:end]:
        return differs("the stop text is returned", **evidence)
    if text.startswith(whole[:end]):
        return differs("the text ends only after the stop text", **evidence)
    if text.startswith(expected) and stop.startswith(text[len(expected) :]):
        return differs("a part of the stop text is returned", **evidence)
    if text == expected.strip():
        return differs("white space before the stop text is lost", **evidence)
    if expected.startswith(text):
        return differs("text before the stop text is lost", **evidence)
    return differs("the text differs from the one without stop", **evidence)


def judge_end(text: str, from_: Source, stops: Sequence[str], **evidence: Any) -> Verdict:
    if from_.hides_thoughts and not text:
        return cant_tell("the stop text may have come in thoughts that aren't shown", **evidence)
    return judge_text(text, from_.text, stops, **evidence)


async def judge_stop(probe: Probe, from_: Source, *stops: str) -> Verdict:
    reply = await served(probe, **from_.request(list(stops)))
    return judge_end(reply.text, from_, stops, figures={"stop": stops[0][:40]}, exchanges=(reply.exchange,))


async def check_middle(probe: Probe) -> Verdict:
    from_ = await source(probe)
    stop = excerpt(from_, len(from_.text) // 2, 5)
    reply = await served(probe, **from_.request(stop))
    alone = judge_end(reply.text, from_, (stop,), figures={"stop": stop}, exchanges=(reply.exchange,))
    return combined([alone, await judge_stop(probe, from_, stop)])


async def check_across(probe: Probe) -> Verdict:
    from_ = await source(probe)
    return await judge_stop(probe, from_, across_tokens(from_))


async def check_multi_byte(probe: Probe) -> Verdict:
    for prompt in MULTI_BYTE:
        from_ = await source(probe, 40, prompt)
        unusable = "\N{REPLACEMENT CHARACTER}" + from_.reply.thoughts
        letters = [letter for letter in from_.text[1:] if ord(letter) > 127 and letter not in unusable]
        if letters:
            # The last one: its bytes are the most likely to be split over tokens.
            return await judge_stop(probe, from_, letters[-1])
    return cant_tell("the model writes no characters of several bytes")


async def check_four(probe: Probe) -> Verdict:
    from_ = await source(probe)
    places = [len(from_.text) * share // 8 for share in (7, 6, 5, 3)]
    return await judge_stop(probe, from_, *(excerpt(from_, place, 4) for place in places))


async def check_long(probe: Probe) -> Verdict:
    from_ = await source(probe, LONG_TOKENS)
    return await judge_stop(probe, from_, excerpt(from_, 20, LONGEST_STOP))


async def check_limits(probe: Probe) -> Verdict:
    await plain(probe, max_tokens=4)
    most = [f"{NEVER}{index}" for index in range(probe.profile.max_stops)]
    allowed: list[Any] = [most, [], None]
    refusable: list[tuple[Any, str]] = [
        ([*most, NEVER], f"{len(most) + 1} stop texts are accepted"),
        ([5], "a number is accepted as a stop text"),
    ]
    if (longest := probe.profile.stop_characters) is not None:
        allowed.append("字" * longest)
        refusable.append((NEVER[0] * (longest + 1), f"a stop text of {longest + 1} characters is accepted"))
        refusable.append(("", "an empty stop text is accepted"))
    parts = [judge_allowed(await probe.endpoint.send(limited(probe, stop)), stop) for stop in allowed]
    parts += [judge_refusable(await probe.endpoint.send(limited(probe, stop)), how) for stop, how in refusable]
    return combined(parts)


def limited(probe: Probe, stop: Any) -> Json:
    return probe.endpoint.body({"max_tokens": 4}) | {"stop": stop}


def judge_allowed(reply: Reply, stop: Any) -> Verdict:
    if reply.ok:
        return honoured()
    shown = f"{len(stop)} stop texts" if isinstance(stop, list) else "null" if stop is None else "a long stop text"
    return refused(f"{shown}: status {reply.status}", exchanges=(reply.exchange,))


def judge_refusable(reply: Reply, how: str) -> Verdict:
    if reply.status in BUSY:
        return refusal(reply)
    if reply.ok or reply.status >= 500:
        return differs(how if reply.ok else f"status {reply.status} instead of a refusal", exchanges=(reply.exchange,))
    return honoured() if reply.names("stop") else differs("the refusal doesn't name stop", exchanges=(reply.exchange,))


async def check_finish(probe: Probe) -> Verdict:
    from_ = await source(probe)
    stop = across_tokens(from_)
    requests = {"": from_.request(stop)}
    if from_.exact and probe.profile.stop_beats_length and not from_.has_thoughts:
        last = {"max_tokens": tokens_until_match(from_, stop)}
        requests[" when the last token allowed completes the stop text"] = from_.request(stop) | last
    parts = []
    for when, request in requests.items():
        reply = await served(probe, **request)
        how = f"finish_reason is {reply.finish}, not stop{when}"
        parts.append((honoured if reply.finish == "stop" else partial(differs, how))(exchanges=(reply.exchange,)))
    return combined(parts)


def tokens_until_match(from_: Source, stop: str) -> int:
    """How many tokens are generated until the stop text is complete."""
    end = first_match(from_.text, (stop,))[1]
    return 1 + next(index for index, token_end in enumerate(from_.ends) if token_end >= end)


async def check_usage(probe: Probe) -> Verdict:
    from_ = await source(probe)
    if from_.has_thoughts:
        return cant_tell("usage counts thoughts too")
    if not from_.exact:
        return cant_tell("without log-probabilities it isn't known which token completes the stop text")
    stop = across_tokens(from_)
    expected = tokens_until_match(from_, stop)
    reply = await served(probe, **from_.request(stop))
    counted = reply.completion_tokens
    evidence = {
        "figures": {"expected": expected, "completion_tokens": counted if counted is not None else "not reported"},
        "exchanges": (reply.exchange,),
    }
    if counted is None:
        return cant_tell("usage isn't reported", **evidence)
    if counted == expected:
        return honoured(**evidence)
    if not from_.text.startswith(reply.text):
        return cant_tell("the text differs from the one without stop", **evidence)
    more = "more" if counted > expected else "fewer"
    return differs(f"usage counts {more} tokens than were generated until the stop text", **evidence)


async def check_stream(probe: Probe) -> Verdict:
    """A text that is sent can't be taken back: if the joined text is right, no chunk holds a part of the stop text."""
    from_ = await source(probe)
    parts = []
    for stop in (across_tokens(from_), excerpt(from_, len(from_.text) // 2, 30)):
        stream = await streamed(probe, **from_.request(stop))
        evidence = {"figures": {"stop": stop}, "exchanges": (stream.exchange,)}
        parts.append(judge_end(stream.text(), from_, (stop,), **evidence))
    return combined(parts)


async def check_near_miss(probe: Probe) -> Verdict:
    """Stop texts that begin like the text, but never match: what was held back must be sent, also at the end."""
    from_ = await source(probe)
    middle, end = excerpt(from_, len(from_.text) // 2, 12) + NEVER, from_.text[-6:] + NEVER
    reply = await served(probe, **from_.request([middle, end]))
    stream = await streamed(probe, **from_.request([middle, end]))
    parts = []
    for answer, text, where in ((reply, reply.text, ""), (stream, stream.text(), " in a stream")):
        fate = "lost" if from_.text.startswith(text) else "changed"
        how = f"text that only begins like a stop text is {fate}{where}"
        right = text == from_.text
        parts.append((honoured if right else partial(differs, how))(exchanges=(answer.exchange,)))
    return combined(parts)


CHECKS: tuple[Check, ...] = (
    Check(
        "stop",
        "stop",
        "Does the answer end before the stop text?",
        "Takes a stop text from the middle of the endpoint's own text at temperature 0, and sends it as a string and "
        "as an array. The answer must be the text before it.",
        tokens=400,
        run=confirmed(check_middle),
    ),
    Check(
        "stop.across_tokens",
        "stop",
        "Is a stop text found that begins inside one token and ends inside another?",
        "Chooses it by the tokens of the log-probabilities, or else across two words.",
        tokens=350,
        run=confirmed(check_across),
    ),
    Check(
        "stop.multi_byte",
        "stop",
        "Is a character of several bytes found as a stop text?",
        "Lets the model write such characters, and takes the last one as stop text.",
        tokens=200,
        run=confirmed(check_multi_byte),
    ),
    Check(
        "stop.four",
        "stop",
        "Of four stop texts, does the earliest in the text win?",
        "Takes four stop texts from the endpoint's own text; the first to occur comes last in the array.",
        tokens=350,
        run=confirmed(check_four),
    ),
    Check(
        "stop.long",
        "stop",
        "Is a stop text of 256 characters found?",
        "Takes it from the endpoint's own text.",
        tokens=550,
        run=confirmed(check_long),
    ),
    Check(
        "stop.limits",
        "stop",
        "Are as many and as long stop texts accepted as allowed, and others refused by name?",
        "Sends the largest number and length allowed, one more of each, null, an empty text and a number.",
        tokens=80,
        run=check_limits,
    ),
    Check(
        "stop.finish_reason",
        "stop",
        "Is finish_reason stop when a stop text ends the answer?",
        "Stops the endpoint's own text; in Oru'el's profile also where the last token allowed completes the stop text.",
        tokens=400,
        run=confirmed(check_finish),
    ),
    Check(
        "stop.usage",
        "stop",
        "Does usage count the tokens up to the one that completes the stop text?",
        "Counts them by the log-probabilities of the text without stop.",
        tokens=350,
        run=confirmed(check_usage),
        requires=("logprobs",),
    ),
    Check(
        "stop.stream",
        "stop",
        "Is the stop text held back in streams?",
        "Streams with stop texts that span several tokens. The joined text must end before them.",
        tokens=400,
        run=confirmed(check_stream),
    ),
    Check(
        "stop.near_miss",
        "stop",
        "Is text sent in full that only begins like a stop text?",
        "Sends stop texts that begin like the endpoint's own text, in its middle and at its end, but go on otherwise.",
        tokens=450,
        run=confirmed(check_near_miss),
    ),
)
