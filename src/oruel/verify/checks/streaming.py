"""stream: the text of the same request unstreamed, whole characters, and events in the order that clients rely on."""

import asyncio
import math
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.steps import BUSY, STORY, combined, combined_cases, confirmed, greedy, plain, served, streamed
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply, StreamReply, delta_of
from oruel.verify.verdict import Concluded, Exchange, Verdict, cant_tell, differs, honoured

TOKENS = 48
# Asked for, they make characters whose bytes are split over several tokens.
EMOJI = "Repeat after me: 🙂 🦊 日本 🧑‍🚀 ✨"
# White space at the beginning and end of chunks.
LINES = "Repeat after me: first line\n\nsecond line\n  - third line\n\nlast"
WITHOUT_TOKENS: Json = {"logprobs": None, "top_logprobs": None}
BROKEN = "\N{REPLACEMENT CHARACTER}"
# So many streams are left at the same time: more than a small server has places, and more than most have.
DISCONNECTED = (8, 48)
# As shares of the time that a whole text takes.
SHORT_WAIT, LONG_WAIT = 0.25, 0.75
TRIES = 3
LONG_STORY = "Tell me a very long story."
LONG_TOKENS = 800


def texts_of(stream: StreamReply) -> list[str]:
    """The text of each chunk of the first choice."""
    return [str(delta_of(choice).get("content") or "") for choice in stream.deltas()]


def choices_of(stream: StreamReply) -> list[list[Json]]:
    """The choices in each chunk."""
    found = [chunk.data.get("choices") if isinstance(chunk.data, dict) else None for chunk in stream.chunks]
    return [[one for one in choices or [] if isinstance(one, dict)] for choices in found]


async def story(probe: Probe, **fields: Any) -> StreamReply:
    return await streamed(probe, **{"messages": user(STORY), "temperature": 0, "max_tokens": 8, **fields})


async def check_equal(probe: Probe) -> Verdict:
    parts = []
    for prompt in (STORY, LINES):
        whole = await greedy(probe, probe.room(TOKENS), prompt)
        stream = await streamed(probe, **{**whole.request, **WITHOUT_TOKENS})
        parts.append(judge_equal(stream, whole, "at temperature 0"))
    if "seed" in probe.facts.accepts:
        drawn: Json = {"messages": user(STORY), "temperature": 1, "seed": probe.seed()}
        drawn["max_tokens"] = probe.room(TOKENS)
        first, second = await plain(probe, **drawn), await plain(probe, **drawn)
        if first.whole_text == second.whole_text:
            parts.append(judge_equal(await streamed(probe, **drawn), first, "with a seed"))
    return combined(parts)


def judge_equal(stream: StreamReply, unstreamed: Reply, when: str) -> Verdict:
    """White space around thoughts is no part of them."""
    evidence = {"exchanges": (stream.exchange,)}
    text, whole = stream.text(), unstreamed.text
    if text == whole and stream.thoughts.strip() == unstreamed.thoughts.strip():
        return honoured(**evidence)
    if text == whole:
        return differs(f"{when}, the thoughts differ from those unstreamed", **evidence)
    if unstreamed.thoughts and unstreamed.thoughts.strip() in text:
        return differs(f"{when}, the thoughts come as text", **evidence)
    if text.startswith(whole):
        return differs(f"{when}, text is added after the end", **evidence)
    if whole.startswith(text):
        return differs(f"{when}, the end of the text is missing", **evidence)
    if "".join(text.split()) == "".join(whole.split()):
        return differs(f"{when}, white space differs from the text unstreamed", **evidence)
    return differs(f"{when}, the text differs from the text unstreamed", **evidence)


async def check_utf8(probe: Probe) -> Verdict:
    whole = await greedy(probe, probe.room(TOKENS), EMOJI)
    stream = await streamed(probe, **{**whole.request, **WITHOUT_TOKENS})
    evidence = {"figures": {"text": whole.text[:60]}, "exchanges": (stream.exchange,)}
    # The model itself may write invalid bytes; those are in the unstreamed text too.
    if stream.text().count(BROKEN) > whole.text.count(BROKEN):
        return differs("characters are broken between chunks", **evidence)
    if all(ord(letter) < 128 or letter == BROKEN for letter in whole.text):
        return cant_tell("the model writes no characters of several bytes", **evidence)
    if any(is_torn(text) for text in texts_of(stream)):
        return differs("a chunk ends inside a character", **evidence)
    return honoured(**evidence)


def is_torn(text: str) -> bool:
    """Whether half of a surrogate pair stands alone."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


async def check_role(probe: Probe) -> Verdict:
    stream = await story(probe)
    evidence = {"exchanges": (stream.exchange,)}
    roles = [delta_of(choice).get("role") for choice in stream.deltas()]
    if not any(roles):
        return differs("no chunk carries the role", **evidence)
    if roles[0] != "assistant":
        return differs("the first chunk doesn't carry the role", **evidence)
    return honoured(**evidence)


async def check_finish(probe: Probe) -> Verdict:
    count = 2 if "n" in probe.facts.accepts else 1
    # vLLM refuses several choices at temperature 0.
    stream = await story(probe, temperature=1, n=count if count > 1 else None)
    if count == 1:
        return judge_finish(stream, 0)
    # Where n is ignored, only the check of n says so.
    sent = [choice for choice in range(count) if stream.deltas(choice)]
    return combined_cases((f"choice {choice} of {count}", judge_finish(stream, choice)) for choice in sent)


def judge_finish(stream: StreamReply, choice: int) -> Verdict:
    evidence = {"exchanges": (stream.exchange,)}
    deltas = stream.deltas(choice)
    if not deltas:
        return cant_tell(f"choice {choice} is missing", **evidence)
    finished = [index for index, one in enumerate(deltas) if one.get("finish_reason")]
    if len(finished) != 1:
        how = "no chunk carries a finish_reason" if not finished else "finish_reason is sent more than once"
        return differs(how, **evidence)
    late = deltas[finished[0] + 1 :]
    if any(delta_of(one).get("content") or delta_of(one).get("tool_calls") for one in late):
        return differs("text follows finish_reason", **evidence)
    if late:
        return differs("a chunk follows the one with finish_reason", **evidence)
    return honoured(**evidence)


async def check_usage(probe: Probe) -> Verdict:
    whole = await plain(probe, messages=user(STORY), temperature=0, max_tokens=8)
    stream = await story(probe, stream_options={"include_usage": True})
    evidence = {"exchanges": (stream.exchange,)}
    last = stream.chunks[-1].data
    found = last.get("usage") if isinstance(last, dict) else None
    if not stream.usage:
        return differs("there is no usage", **evidence)
    if not isinstance(found, dict):
        return differs("the last chunk doesn't carry the usage", **evidence)
    if choices_of(stream)[-1]:
        return differs("the chunk with the usage has choices", **evidence)
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        if found.get(name) != whole.usage.get(name):
            return differs(f"{name} differs from the same request unstreamed", **evidence)
    return honoured(figures={"total_tokens": found.get("total_tokens", 0)}, **evidence)


async def check_done(probe: Probe) -> Verdict:
    stream = await story(probe)
    evidence = {"exchanges": (stream.exchange,)}
    if stream.done:
        return honoured(**evidence)
    sent = any(chunk.data == "[DONE]" for chunk in stream.chunks)
    return differs("an event follows data: [DONE]" if sent else "data: [DONE] is missing", **evidence)


async def check_errors(probe: Probe) -> Verdict:
    await story(probe)
    stream = await probe.endpoint.stream(temperature="warm", max_tokens=4)
    evidence = {"exchanges": (stream.exchange,)}
    if stream.status in BUSY:
        return cant_tell(f"the endpoint is busy: status {stream.status}", **evidence)
    if 400 <= stream.status < 500 and stream.refusal is not None:
        reported = isinstance(stream.refusal.body, dict)
        return honoured(**evidence) if reported else differs("the refusal of a stream isn't JSON", **evidence)
    if stream.status >= 500:
        return differs(f"an invalid request for a stream gets status {stream.status}", **evidence)
    if any(isinstance(chunk.data, dict) and "error" in chunk.data for chunk in stream.chunks):
        return differs("an error before the first token comes with status 200", **evidence)
    return cant_tell("the endpoint accepts what should be an error", **evidence)


async def check_disconnect(probe: Probe) -> Verdict:
    """Compares the wait after disconnects with the time that the abandoned texts would have taken."""
    long = await long_request(probe)
    alone = min([(await plain(probe, max_tokens=1)).seconds for _ in range(3)])
    whole = await streamed(probe, **long)
    seconds = whole.chunks[-1].seconds
    if seconds < 8 * alone:
        return cant_tell("a long text takes hardly more time than a single token", exchanges=(whole.exchange,))
    for count in DISCONNECTED:
        wait = await shortest_wait_after_disconnects(probe, long, count, seconds * SHORT_WAIT)
        evidence = {
            "figures": {
                "seconds for a whole text": round(seconds, 3),
                "disconnected": count,
                "seconds until the next request was served": round(wait, 3),
            },
            "exchanges": (Exchange(whole.request, whole.status, "(left at the second event)"),),
        }
        if wait > seconds * LONG_WAIT:
            return differs("a disconnect doesn't free the place", **evidence)
        if wait > seconds * SHORT_WAIT:
            return cant_tell("the wait after disconnects is neither short nor as long as the texts", **evidence)
    return honoured(**evidence)


async def shortest_wait_after_disconnects(probe: Probe, long: Json, count: int, enough: float) -> float:
    """Of up to three tries, as a machine that is busy with other things makes any request wait now and then."""
    shortest = math.inf
    for _ in range(TRIES):
        shortest = min(shortest, await wait_after_disconnects(probe, long, count))
        if shortest <= enough:
            break
    return shortest


async def long_request(probe: Probe) -> Json:
    """A request whose text is long, if need be since it rewards repetition."""
    for temperature, penalty in ((0, None), (0, -2), (2, None)):
        request: Json = {"messages": user(LONG_STORY), "temperature": temperature, "max_tokens": LONG_TOKENS}
        request |= {"seed": 1} if "seed" in probe.facts.accepts else {}
        request |= {"frequency_penalty": penalty} if "frequency_penalty" in probe.facts.accepts and penalty else {}
        reply = await served(probe, **request)
        # Without usage, four characters count as a token.
        if (reply.completion_tokens or len(reply.whole_text) // 4) >= LONG_TOKENS // 2:
            return request
    raise Concluded(cant_tell("the model's texts are too short"))


async def wait_after_disconnects(probe: Probe, long: Json, count: int) -> float:
    """Seconds that a short request takes after so many streams were left at their second event."""
    await asyncio.gather(*(probe.endpoint.stream(leave_after=2, **long) for _ in range(count)))
    return (await plain(probe, max_tokens=1)).seconds


CHECKS: tuple[Check, ...] = (
    Check(
        "stream",
        "stream",
        "Is the text of a stream the text of the same request unstreamed?",
        "Compares both at temperature 0 and, if a seed repeats the text, with a seed.",
        tokens=450,
        run=confirmed(check_equal),
    ),
    Check(
        "stream.utf8",
        "stream",
        "Does no chunk end inside a character?",
        "Asks for emoji, whose bytes most models split over tokens. A stream may hold no more replacement characters "
        "than the text unstreamed.",
        tokens=200,
        run=confirmed(check_utf8),
    ),
    Check(
        "stream.role",
        "stream",
        "Does the first chunk carry the role?",
        "Reads the first delta of a short stream.",
        tokens=30,
        run=check_role,
    ),
    Check(
        "stream.finish",
        "stream",
        "Does each choice finish exactly once, with nothing after it?",
        "Reads a short stream, of two choices where n is accepted.",
        tokens=40,
        run=check_finish,
    ),
    Check(
        "stream.usage",
        "stream_options",
        "Does include_usage give a last chunk with no choices and the usage of the same request unstreamed?",
        "Compares the usage of a short stream at temperature 0 with that of the answer unstreamed.",
        tokens=50,
        run=confirmed(check_usage),
    ),
    Check(
        "stream.done",
        "stream",
        "Is data: [DONE] the last event?",
        "Reads a short stream to its end.",
        tokens=30,
        run=check_done,
    ),
    Check(
        "stream.errors",
        "stream",
        "Does an error before the first token have its own status?",
        "Asks for a stream with an invalid temperature.",
        tokens=20,
        run=check_errors,
    ),
    Check(
        "stream.disconnect",
        "stream",
        "Does a client that goes away free its place?",
        "Leaves 8 and then 48 streams of a long text at their second event, and compares the time of a short request "
        "after that with the time of the whole text. Three tries must agree on a fault. Places beyond 48 are not seen.",
        tokens=5000,
        run=check_disconnect,
    ),
)
