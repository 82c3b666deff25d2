"""What an endpoint promises: Oru'el's contract, or OpenAI's documentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ProfileName = Literal["oruel", "openai"]


@dataclass(frozen=True, slots=True)
class Range:
    """The allowed numbers of a parameter, both ends included. `whole`: integers only."""

    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """`ranges` by parameter. Parameters that aren't `promised` are not tested; a refusal of one that is counts as
    refused. `refuses_unknown`: unknown fields must be refused, and with `suggests_names` the nearest known name must be
    suggested. `clamps_length`: max_tokens beyond the context is cut to the room left; otherwise it may be refused too.
    `stop_beats_length`: finish_reason is stop where the last token allowed completes a stop text.
    `named_call_finishes_tool_calls`: a call that tool_choice names ends with tool_calls; OpenAI says stop.
    `max_stops` and `stop_characters` limit `stop`. `closes_json`: JSON is valid also when max_tokens cuts it.
    """

    name: ProfileName
    promised: frozenset[str]
    ranges: Mapping[str, Range]
    refuses_unknown: bool
    max_stops: int = 4
    stop_characters: int | None = None
    max_tools: int = 128
    closes_json: bool = False
    suggests_names: bool = False
    clamps_length: bool = False
    stop_beats_length: bool = False
    named_call_finishes_tool_calls: bool = False
    penalties_count_prompt: bool = False

    def covers(self, parameter: str) -> bool:
        """Whether checks of the parameter apply: it is promised, or no parameter at all, such as unknown fields."""
        return parameter in self.promised or not any(parameter in one.promised for one in PROFILES.values())


SHARED = {
    "temperature": Range(0, 2),
    "top_p": Range(0, 1),
    "frequency_penalty": Range(-2, 2),
    "presence_penalty": Range(-2, 2),
    "top_logprobs": Range(0, 20, whole=True),
    "seed": Range(-(2**63), 2**63 - 1, whole=True),
}
OPENAI_PARAMETERS = frozenset(
    {
        "temperature",
        "top_p",
        "seed",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "frequency_penalty",
        "presence_penalty",
        "response_format",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "n",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "usage",
        "service_tier",
    }
)

OPENAI = Profile(
    "openai", promised=OPENAI_PARAMETERS, ranges={**SHARED, "n": Range(1, 128, whole=True)}, refuses_unknown=True
)
ORUEL = Profile(
    "oruel",
    promised=OPENAI_PARAMETERS | {"top_k", "min_p", "repetition_penalty", "tier"},
    ranges={
        **SHARED,
        "top_k": Range(0, 200, whole=True),
        "min_p": Range(0, 1),
        "repetition_penalty": Range(0.1, 3),
        "max_tokens": Range(1, 131072, whole=True),
        "n": Range(1, 8, whole=True),
    },
    refuses_unknown=True,
    stop_characters=256,
    closes_json=True,
    suggests_names=True,
    clamps_length=True,
    stop_beats_length=True,
    named_call_finishes_tool_calls=True,
)
PROFILES: Mapping[ProfileName, Profile] = {"oruel": ORUEL, "openai": OPENAI}
