"""The contract: one declaration per parameter. Validation, the OpenAPI document, `oruel params` and GET /v1/parameters
derive from it, so a new parameter needs one declaration here and the code that acts on it.
"""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from oruel.contract.examples import EXAMPLES, Example
from oruel.contract.functions import (
    MAX_TOOLS,
    NAME_PATTERN,
    SCHEMA,
    StringOrObject,
    custom_tool,
    function_kind,
    hosted_tools,
    named_function,
    other_choices,
)
from oruel.contract.kinds import (
    Array,
    Boolean,
    FreeObject,
    Integer,
    Kind,
    Number,
    Object,
    String,
    StringEnum,
    StringOrArray,
    TaggedUnion,
    TokenMap,
    Unsupported,
)
from oruel.types import TIERS

Group = Literal["Sampling", "Length", "Penalties", "Output format", "Tools", "Routing", "Beyond the page"]

MAX_STOPS = 4
MAX_STOP_CHARACTERS = 256
MAX_TRACE_TOP = 50
MAX_PREFIX_TOKENS = 8192


@dataclass(frozen=True)
class Parameter:
    """A `default` of None means not set; `default_note` then says what happens. `details` lists limits and the effects
    of typical values.
    """

    name: str
    kind: Kind
    group: Group
    summary: str
    default: Any = None
    default_note: str = ""
    details: tuple[str, ...] = ()

    @property
    def served(self) -> bool:
        return not isinstance(self.kind, Unsupported)

    @property
    def example(self) -> Example | None:
        return EXAMPLES.get(self.name)

    def as_json(self) -> dict[str, Any]:
        """The declaration as GET /v1/parameters returns it."""
        return {
            "name": self.name,
            "group": self.group,
            "summary": self.summary,
            "allowed": str(self.kind),
            "schema": self.kind.schema(),
            "default": self.default,
            "default_note": self.default_note or None,
            "details": list(self.details),
            "example": self.example and self.example.as_json(),
            "served": self.served,
        }


@dataclass(frozen=True)
class UseCase:
    """A row of the parameter page's table of recommended settings, in the page's words."""

    name: str
    temperature: str
    top_p: str
    max_tokens: str
    other: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The row as fields of a request, with the middle of a range."""
        bounds = [float(bound) for bound in self.temperature.split(" - ")]
        middle = round(sum(bounds) / len(bounds), 3)
        settings = {"temperature": middle, "top_p": float(self.top_p), "max_tokens": int(self.max_tokens)}
        if self.other:
            # The page writes `stop=[…]`, but `frequency_penalty: …`. The values are JSON.
            name, value = re.split("=|: ", self.other, maxsplit=1)
            settings[name] = json.loads(value)
        return settings

    def as_json(self) -> dict[str, Any]:
        """The row as GET /v1/parameters returns it."""
        return asdict(self) | {"settings": self.settings}


stop_kind = StringOrArray(String(1, MAX_STOP_CHARACTERS), Array(String(1, MAX_STOP_CHARACTERS), maximum=MAX_STOPS))

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "temperature",
        Number(0, 2),
        "Sampling",
        "Controls the randomness of the output: lower is more deterministic, higher is more varied.",
        default=0.7,
        details=(
            "0: deterministic; the most probable token after constraints, bias and penalties, the lowest id in a tie",
            "0.1 - 0.4: focused; data extraction, classification, structured tasks",
            "0.5 - 0.8: balanced; general conversation, writing assistance",
            "1.0 - 1.5: varied; brainstorming, creative writing",
            "1.5 - 2.0: increasingly unpredictable",
        ),
    ),
    Parameter(
        "top_p",
        Number(0, 1),
        "Sampling",
        "Nucleus sampling: keeps the smallest set of most probable tokens whose cumulative probability exceeds top_p.",
        default=1.0,
        details=(
            "1: no filtering; 0: keeps only the most probable token",
            "applied after top_k, to probabilities renormalised over the tokens that top_k kept",
            "adjust either temperature or top_p, not both",
        ),
    ),
    Parameter(
        "top_k",
        Integer(0, 200),
        "Sampling",
        "Keeps only the K most probable tokens, a hard cutoff.",
        default_note="no limit",
        details=(
            "0: no limit; 1: greedy, whatever the temperature; 50: a common value",
            "at the cutoff, the lower token id wins a tie",
        ),
    ),
    Parameter(
        "min_p",
        Number(0, 1),
        "Sampling",
        "Discards tokens with less than min_p times the probability of the most probable token.",
        default_note="no filtering",
        details=(
            "adapts to the model's confidence: filters aggressively when it is confident, little when it is uncertain",
            "the most probable token always survives",
        ),
    ),
    Parameter(
        "seed",
        Integer(-(2**63), 2**63 - 1),
        "Sampling",
        "Seed for the random number generator: the same seed, prompt and parameters give the same text.",
        default_note="a fresh random seed for every request",
        details=("each draw depends only on the seed, the choice and the position, never on other requests",),
    ),
    Parameter(
        "max_tokens",
        Integer(1, 131072),
        "Length",
        "The maximum number of tokens to generate.",
        default_note="the rest of the context window",
        details=(
            "clamped to the space left in the context window; finish_reason is then length",
            "a prompt that leaves no space is refused with context_length_exceeded",
        ),
    ),
    Parameter(
        "max_completion_tokens",
        Integer(1, 131072),
        "Length",
        "max_tokens under OpenAI's newer name.",
        default_note="max_tokens",
        details=("if both are sent, they must be equal",),
    ),
    Parameter(
        "stop",
        stop_kind,
        "Length",
        "Generation stops where one of these strings appears. The string itself is not returned.",
        details=("a match may begin inside one token and end inside another", "[] means not set"),
    ),
    Parameter(
        "frequency_penalty",
        Number(-2, 2),
        "Penalties",
        "Lowers a token's logit by this much for each time it has already appeared in the output.",
        default=0.0,
        details=("counts the output only, never the prompt", "start with 0.3 for general anti-repetition"),
    ),
    Parameter(
        "presence_penalty",
        Number(-2, 2),
        "Penalties",
        "Lowers a token's logit by this much if it has appeared in the output at all.",
        default=0.0,
        details=("counts the output only, never the prompt", "positive values encourage new topics"),
    ),
    Parameter(
        "repetition_penalty",
        Number(0.1, 3),
        "Penalties",
        "Divides the logits of tokens that have appeared in the output if positive, and multiplies them if negative.",
        default=1.0,
        details=(
            "counts the output only, never the prompt",
            "1: no penalty; 1.1 - 1.3: mild; 1.5 and above: strong, may degrade coherence",
        ),
    ),
    Parameter(
        "response_format",
        TaggedUnion(
            "type",
            {
                "text": Object({"type": StringEnum(("text",))}),
                "json_object": Object({"type": StringEnum(("json_object",))}),
                "json_schema": Object(
                    {
                        "type": StringEnum(("json_schema",)),
                        "json_schema": Object(
                            {
                                "name": String(1, 64, NAME_PATTERN),
                                "description": String(0, 4096),
                                "schema": SCHEMA,
                                "strict": Boolean(),
                            },
                            required=("name", "schema"),
                        ),
                    },
                    required=("type", "json_schema"),
                ),
            },
        ),
        "Output format",
        "Controls the output format.",
        default={"type": "text"},
        details=(
            "json_object: the answer is one JSON object, at every temperature and with every penalty; if max_tokens "
            "runs out, it is completed within the limit, with finish_reason length",
            "json_object requires that the messages mention JSON",
            "json_schema: as json_object, and the answer matches the schema",
            "strict: true enforces the whole schema or refuses the request; otherwise the header x-oruel-differs names "
            "the keywords that are not enforced",
            "with tools that may be called, the answer is either calls or a document",
        ),
    ),
    Parameter(
        "stream",
        Boolean(),
        "Output format",
        "Delivers the response as a stream of server-sent events.",
        default=False,
    ),
    Parameter(
        "stream_options",
        Object(
            {
                "include_usage": Boolean(),
                "include_obfuscation": Unsupported("streams are not padded.", neutral=(False,)),
            }
        ),
        "Output format",
        "include_usage: true sends the usage in a separate last chunk.",
        details=("only with stream: true",),
    ),
    Parameter(
        "tools",
        Array(
            TaggedUnion("type", {"function": function_kind, "custom": custom_tool, **hosted_tools}),
            maximum=MAX_TOOLS,
        ),
        "Tools",
        "Functions that the model can call, at most 128.",
        default_note="none",
        details=(
            "names must be unique; parameters is a JSON Schema of an object, which complete arguments always satisfy",
            "a call cut off by max_tokens is not completed; finish_reason is length",
            "[] means not set; a model whose chat template does not support tools refuses them",
        ),
    ),
    Parameter(
        "tool_choice",
        StringOrObject(
            ("none", "auto", "required"),
            TaggedUnion("type", {"function": named_function, **other_choices}),
            elsewhere={"any": "required"},
        ),
        "Tools",
        "Controls whether and which tools the model calls.",
        default_note="auto if tools are sent, otherwise none",
        details=(
            "auto: the model decides whether to call a tool; once it begins a call, it is constrained to the declared "
            "functions",
            "required: at least one call; a named function: the model calls that function",
        ),
    ),
    Parameter(
        "parallel_tool_calls",
        Boolean(),
        "Tools",
        "Whether an answer may contain several calls.",
        default=True,
        details=("only has an effect with tools",),
    ),
    Parameter(
        "tier",
        StringEnum(TIERS),
        "Routing",
        "The pricing and routing tier: standard is cost-optimised; turbo has lower latency and a higher price.",
        default="standard",
    ),
    Parameter(
        "n",
        Integer(1, 8),
        "Beyond the page",
        "How many choices to generate, each sampled independently.",
        default=1,
    ),
    Parameter(
        "logprobs",
        Boolean(),
        "Beyond the page",
        "Returns the natural log-probability of each token in the model's own distribution.",
        default=False,
        details=("computed before any parameter applies: temperature 1, no penalties, no filters",),
    ),
    Parameter(
        "top_logprobs",
        Integer(0, 20),
        "Beyond the page",
        "How many of the most probable tokens to return at each position.",
        default=0,
        details=("only with logprobs: true",),
    ),
    Parameter(
        "logit_bias",
        TokenMap(Number(-100, 100), maximum=1024),
        "Beyond the page",
        "Adds these values to the logits of the given tokens, before the penalties and filters.",
        details=("ids must be in the model's vocabulary; POST /tokenize returns the ids of a text",),
    ),
    Parameter(
        "chat_template_kwargs",
        FreeObject(16),
        "Beyond the page",
        "Variables for the model's chat template.",
        details=("only keys that the operator allows for the model",),
    ),
    Parameter(
        "trace",
        Object(
            {"top": Integer(1, MAX_TRACE_TOP), "prefix": Array(Integer(0, 2**31 - 1), maximum=MAX_PREFIX_TOKENS)},
            required=("top",),
        ),
        "Beyond the page",
        "Reports how each step changed the leading candidates of each token, and the draw that selected it.",
        details=(
            "top: how many leading candidates to report, 1 to 50; the text is the same with and without a trace",
            "prefix: token ids that the answer begins with, to continue from another candidate of an earlier answer",
            "top × n × max_tokens may be at most 262144",
            "only models with an embedded engine support it",
        ),
    ),
)

USE_CASES: tuple[UseCase, ...] = (
    UseCase("Code generation", "0 - 0.2", "0.95", "2048", 'stop=["```"]'),
    UseCase("Creative writing", "0.8 - 1.2", "1.0", "4096", "frequency_penalty: 0.5"),
    UseCase("Data extraction", "0", "1.0", "1024", 'response_format: {"type": "json_object"}'),
    UseCase("Q&A / Factual", "0 - 0.3", "0.95", "512"),
    UseCase("Summarization", "0.3 - 0.5", "0.95", "1024"),
    UseCase("Translation", "0 - 0.2", "1.0", "2048"),
    UseCase("Brainstorming", "1.0 - 1.5", "1.0", "2048", "presence_penalty: 0.8"),
    UseCase("Chatbot", "0.5 - 0.7", "0.9", "1024", "frequency_penalty: 0.3"),
    UseCase("Classification", "0", "1.0", "10"),
)
