"""Answers of the endpoint under test, read leniently: a wrong shape is something to report, not a reason to stop. A
field of the wrong type counts as missing, and no property raises.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oruel.verify.verdict import Exchange

Json = dict[str, Any]
# Stands for bytes that are no character by themselves.
REPLACEMENT = "\ufffd"
LONGEST_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A generated token with its log-probability and the most probable ones at its position, best first."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()
    bytes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is the decoded JSON, or the text if it isn't JSON. `seconds` until the whole answer had arrived."""

    request: Json
    status: int
    headers: Mapping[str, str]
    body: Any
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == 200 and bool(self.choices)

    @property
    def fails(self) -> bool:
        """Whether the server itself failed, rather than being busy."""
        return self.status >= 500 and self.status != 503

    @property
    def exchange(self) -> Exchange:
        return Exchange(self.request, self.status, self.body)

    @property
    def choices(self) -> list[Json]:
        return objects_in(as_object(self.body).get("choices"))

    @property
    def texts(self) -> list[str]:
        return [as_text(message_of(choice).get("content")) for choice in self.choices]

    @property
    def text(self) -> str:
        return self.texts[0] if self.choices else ""

    @property
    def thoughts(self) -> str:
        """What the model wrote before its text, as far as the endpoint shows it."""
        return thoughts_of(message_of(self.choices[0])) if self.choices else ""

    @property
    def whole_texts(self) -> list[str]:
        """Of each choice, all that the model is seen to have written: its thoughts, then its text."""
        messages = [message_of(choice) for choice in self.choices]
        return [thoughts_of(message) + as_text(message.get("content")) for message in messages]

    @property
    def whole_text(self) -> str:
        return self.whole_texts[0] if self.choices else ""

    @property
    def counts_thoughts(self) -> bool:
        return bool(as_count(as_object(self.usage.get("completion_tokens_details")).get("reasoning_tokens")))

    @property
    def ended_thoughts(self) -> bool:
        """Whether text follows thoughts. The tokens between may be none of the model's choice: servers with a budget
        for thoughts force their end.
        """
        return bool(self.thoughts and self.text)

    @property
    def finish(self) -> str | None:
        return as_text(self.choices[0].get("finish_reason")) or None if self.choices else None

    @property
    def calls(self) -> list[Json]:
        """The `function` objects of the first choice's tool calls."""
        return calls_of(message_of(self.choices[0])) if self.choices else []

    @property
    def usage(self) -> Json:
        return as_object(as_object(self.body).get("usage"))

    @property
    def completion_tokens(self) -> int | None:
        return as_count(self.usage.get("completion_tokens"))

    @property
    def error(self) -> Json:
        found = as_object(self.body).get("error", self.body)
        return as_object(found) or ({"message": found} if isinstance(found, str) else {})

    @property
    def error_text(self) -> str:
        """Everything that the error says, as one line."""
        return json.dumps(self.body) if not isinstance(self.body, str) else self.body[:400]

    def names(self, parameter: str) -> bool:
        """Whether the error names the parameter."""
        return parameter in self.error_text

    def tokens(self, choice: int = 0) -> list[TokenInfo]:
        """The log-probabilities of a choice; empty if there are none."""
        return tokens_of(self.choices[choice]) if choice < len(self.choices) else []

    def text_tokens(self) -> list[TokenInfo]:
        """Of the first choice. Where text follows thoughts, without those of the thoughts, their end, and the end
        token; empty if no tokens at the end make up the text.
        """
        tokens = self.tokens()
        if not self.ended_thoughts:
            return tokens
        ends = (len(tokens), len(tokens) - 1)
        return next((found for end in ends if (found := tokens_before(tokens[: max(end, 0)], self.text))), [])


@dataclass(frozen=True, slots=True)
class Chunk:
    """`data` is the decoded JSON of an event, or its text. `seconds` since the request was sent."""

    data: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class StreamReply:
    """The events of a stream in order; `done` if [DONE] came last. A refused stream has no chunks, but `refusal`."""

    request: Json
    status: int
    headers: Mapping[str, str]
    chunks: tuple[Chunk, ...] = ()
    done: bool = False
    refusal: Reply | None = None

    @property
    def ok(self) -> bool:
        return self.status == 200 and bool(self.chunks)

    @property
    def exchange(self) -> Exchange:
        shown = [chunk.data for chunk in self.chunks]
        return self.refusal.exchange if self.refusal else Exchange(self.request, self.status, shown)

    def deltas(self, choice: int = 0) -> list[Json]:
        """The choice objects of the chunks, in order."""
        choices = (one for chunk in self.chunks for one in objects_in(as_object(chunk.data).get("choices")))
        return [one for one in choices if one.get("index", 0) == choice]

    def text(self, choice: int = 0) -> str:
        return "".join(as_text(delta_of(one).get("content")) for one in self.deltas(choice))

    @property
    def thoughts(self) -> str:
        """Of the first choice."""
        return "".join(thoughts_of(delta_of(one)) for one in self.deltas())

    @property
    def usage(self) -> Json:
        found = [as_object(as_object(chunk.data).get("usage")) for chunk in self.chunks]
        return next(filter(None, reversed(found)), {})


def as_object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def objects_in(value: Any) -> list[Json]:
    """The objects of an array; other elements are left out."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def as_count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_logprob(value: Any) -> float | None:
    """None unless it is a finite number. One that is positive is kept: a check reports it."""
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def message_of(choice: Json) -> Json:
    return as_object(choice.get("message"))


def delta_of(choice: Json) -> Json:
    return as_object(choice.get("delta"))


def thoughts_of(message: Json) -> str:
    """DeepSeek, llama.cpp and SGLang name the field reasoning_content, OpenRouter and newer versions of vLLM reasoning.
    A server that sends both repeats the same text.
    """
    return as_text(message.get("reasoning_content")) or as_text(message.get("reasoning"))


def calls_of(message: Json) -> list[Json]:
    return [call["function"] for call in objects_in(message.get("tool_calls")) if as_object(call.get("function"))]


def tokens_of(choice: Json) -> list[TokenInfo]:
    content = objects_in(as_object(choice.get("logprobs")).get("content"))
    return [token_info(entry) for entry in content if as_logprob(entry.get("logprob")) is not None]


def tokens_before(tokens: Sequence[TokenInfo], text: str) -> list[TokenInfo]:
    """The last tokens, if they make up the text."""
    content, wanted = b"", text.encode(errors="replace")
    for first in reversed(range(len(tokens))):
        content = bytes_of(tokens[first]) + content
        if is_same_text(content, text):
            return list(tokens[first:])
        if len(content) > len(wanted) + LONGEST_CHARACTER:
            break
    return []


def bytes_of(token: TokenInfo) -> bytes:
    """Of its text, if the endpoint gives none, or numbers that are none."""
    given = token.bytes
    return token.text.encode(errors="replace") if given is None or max(given, default=0) > 255 else bytes(given)


def is_same_text(content: bytes, text: str) -> bool:
    """A character that the answer's end cuts off may be shown or left out."""
    decoded = content.decode(errors="replace")
    return decoded == text or decoded.rstrip(REPLACEMENT) == text.rstrip(REPLACEMENT)


def token_info(entry: Json) -> TokenInfo:
    """`entry` has a log-probability."""
    top = [(as_text(one.get("token")), as_logprob(one.get("logprob"))) for one in objects_in(entry.get("top_logprobs"))]
    found, logprob = entry.get("bytes"), as_logprob(entry["logprob"])
    return TokenInfo(
        as_text(entry.get("token")),
        math.nan if logprob is None else logprob,
        tuple((token, logprob) for token, logprob in top if logprob is not None),
        tuple(one for one in found if as_count(one) is not None) if isinstance(found, list) else None,
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """What the survey found out about the endpoint. `top_logprobs` is how many alternatives it reports, 0 if none;
    `token_fields` are those of a request whose answer lists its tokens, empty if it has none.
    `accepts` are the fields that it doesn't refuse. `reasons`: the model thinks before it answers; `hides_thoughts`:
    and the endpoint doesn't show what. `refuses_max_tokens`: it takes max_completion_tokens only.
    """

    top_logprobs: int = 0
    accepts: frozenset[str] = frozenset()
    reasons: bool = False
    hides_thoughts: bool = False
    refuses_max_tokens: bool = False
    context: int | None = None
    server: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    token_fields: Mapping[str, Any] = field(default_factory=dict)
