"""Fields of OpenAI's API other than our parameters. Each is recorded, has no effect, or is refused unless neutral."""

from collections.abc import Mapping
from dataclasses import dataclass

from oruel.contract.functions import ReplacedField
from oruel.contract.kinds import (
    JSONSchema,
    Kind,
    String,
    StringEnum,
    Unsupported,
    abbreviate,
    invalid_length,
    invalid_value,
)


@dataclass(frozen=True)
class StringMap:
    """An object that maps strings to strings, all of bounded length."""

    key: String
    value: String
    maximum: int

    def parse(self, value: object, path: str) -> dict[str, str]:
        if not isinstance(value, dict):
            raise invalid_value(self, value, path)
        if len(value) > self.maximum:
            raise invalid_length(self, value, path, "fields")
        for key in value:
            self.key.parse(key, f"{path}.{abbreviate(key)}")
        return {key: self.value.parse(item, f"{path}.{abbreviate(key)}") for key, item in value.items()}

    def schema(self) -> JSONSchema:
        return {
            "type": "object",
            "propertyNames": self.key.schema(),
            "additionalProperties": self.value.schema(),
            "maxProperties": self.maximum,
        }

    def __str__(self) -> str:
        return f"an object with at most {self.maximum} fields, all of them strings"


# These fields don't change the text. They are logged with the request.
RECORDED: Mapping[str, Kind] = {
    "user": String(0, 1024),
    "metadata": StringMap(String(1, 64), String(0, 512), maximum=16),
    "safety_identifier": String(0, 1024),
}
# These fields have no effect, by definition.
INERT: Mapping[str, Kind] = {
    "store": Unsupported("answers are not stored.", neutral=(False,)),
    "service_tier": Unsupported(
        'the parameter tier chooses between "standard" and "turbo" here.', neutral=("auto", "default")
    ),
    "prompt_cache_key": String(0, 1024),
    "prompt_cache_retention": StringEnum(("in_memory", "in-memory", "24h")),
}

# These fields would change the text, except for their neutral values.
REFUSED: Mapping[str, Kind] = {
    "audio": Unsupported("this model answers in text only."),
    "function_call": ReplacedField(
        "it was replaced by tool_choice. Send tool_choice instead.", neutral=("none", "auto")
    ),
    "functions": ReplacedField(
        'it was replaced by tools. Send each function in tools, as {"type": "function", "function": …}.', neutral=([],)
    ),
    "modalities": Unsupported("this model answers in text only.", neutral=(["text"],)),
    "moderation": Unsupported("this server doesn't moderate prompts or answers."),
    "prediction": Unsupported("this server does not use predicted output."),
    "prompt_cache_options": Unsupported("prompts are cached automatically.", neutral=({"mode": "implicit"},)),
    "reasoning_effort": Unsupported("this model doesn't reason.", neutral=("none",)),
    "verbosity": Unsupported(
        "this model has no such setting. Ask for brevity or detail in a message instead.", neutral=("medium",)
    ),
    "web_search_options": Unsupported("this server doesn't search the web."),
}
