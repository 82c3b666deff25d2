"""Answers of the endpoint under test, read leniently: a wrong shape is something to report, not a reason to stop."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oruel.verify.verdict import Exchange

Json = dict[str, Any]


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
    def exchange(self) -> Exchange:
        return Exchange(self.request, self.status, self.body)

    @property
    def choices(self) -> list[Json]:
        found = self.body.get("choices") if isinstance(self.body, dict) else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def texts(self) -> list[str]:
        return [str(message_of(choice).get("content") or "") for choice in self.choices]

    @property
    def text(self) -> str:
        return self.texts[0] if self.choices else ""

    @property
    def finish(self) -> str | None:
        return self.choices[0].get("finish_reason") if self.choices else None

    @property
    def calls(self) -> list[Json]:
        """The `function` objects of the first choice's tool calls."""
        return calls_of(message_of(self.choices[0])) if self.choices else []

    @property
    def usage(self) -> Json:
        found = self.body.get("usage") if isinstance(self.body, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def completion_tokens(self) -> int | None:
        return self.usage.get("completion_tokens")

    @property
    def error(self) -> Json:
        found = self.body.get("error", self.body) if isinstance(self.body, dict) else {}
        return found if isinstance(found, dict) else {"message": str(found)}

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
        found = []
        for chunk in self.chunks:
            choices = chunk.data.get("choices") if isinstance(chunk.data, dict) else None
            found += [one for one in choices or [] if isinstance(one, dict) and one.get("index", 0) == choice]
        return found

    def text(self, choice: int = 0) -> str:
        return "".join(str(delta_of(one).get("content") or "") for one in self.deltas(choice))

    @property
    def usage(self) -> Json:
        found = [chunk.data.get("usage") for chunk in self.chunks if isinstance(chunk.data, dict)]
        return next((one for one in reversed(found) if isinstance(one, dict)), {})


def message_of(choice: Json) -> Json:
    found = choice.get("message")
    return found if isinstance(found, dict) else {}


def delta_of(choice: Json) -> Json:
    found = choice.get("delta")
    return found if isinstance(found, dict) else {}


def calls_of(message: Json) -> list[Json]:
    calls = message.get("tool_calls")
    found = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return [one for one in found if isinstance(one, dict)]


def tokens_of(choice: Json) -> list[TokenInfo]:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [token_info(entry) for entry in content or [] if isinstance(entry, dict) and "logprob" in entry]


def token_info(entry: Json) -> TokenInfo:
    top = entry.get("top_logprobs") or []
    return TokenInfo(
        str(entry.get("token", "")),
        number(entry["logprob"]),
        tuple(
            (str(one.get("token", "")), number(one["logprob"]))
            for one in top
            if isinstance(one, dict) and "logprob" in one
        ),
        tuple(entry["bytes"]) if isinstance(entry.get("bytes"), list) else None,
    )


def number(value: Any) -> float:
    """NaN for whatever isn't a number, which checks of log-probabilities report."""
    return float(value) if isinstance(value, int | float) else math.nan


@dataclass(frozen=True, slots=True)
class Facts:
    """What the survey found out about the endpoint. `top_logprobs` is how many alternatives it reports, 0 if none.
    `accepts` are the fields that it doesn't refuse. `reasons`: the model thinks before it answers.
    """

    top_logprobs: int = 0
    accepts: frozenset[str] = frozenset()
    reasons: bool = False
    context: int | None = None
    server: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
