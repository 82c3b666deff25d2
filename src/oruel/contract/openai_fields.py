"""Fields of OpenAI's API that aren't our parameters: recorded, without effect, or refused by name unless neutral."""

from collections.abc import Mapping
from dataclasses import dataclass

from oruel.contract.functions import ReplacedField
from oruel.contract.kinds import JSONSchema, Kind, String, StringEnum, Unsupported, abbreviate, invalid_value


@dataclass(frozen=True)
class StringMap:
    """An object from strings to strings, all of bounded length."""

    key: String
    value: String
    maximum: int

    def parse(self, value: object, path: str) -> dict[str, str]:
        if not isinstance(value, dict) or len(value) > self.maximum:
            raise invalid_value(self, value, path)
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
        return f"an object of at most {self.maximum} strings"


# They don't change the text, and are logged with the request.
RECORDED: Mapping[str, Kind] = {
    "user": String(0, 1024),
    "metadata": StringMap(String(1, 64), String(0, 512), maximum=16),
    "safety_identifier": String(0, 1024),
}
# They change nothing, by definition.
INERT: Mapping[str, Kind] = {
    "store": Unsupported("answers are not stored.", neutral=(False,)),
    "service_tier": Unsupported('tier chooses between "standard" and "turbo" here.', neutral=("auto", "default")),
    "prompt_cache_key": String(0, 1024),
    "prompt_cache_retention": StringEnum(("in_memory", "in-memory", "24h")),
}

# They would change the text. Each with its neutral values.
REFUSED: Mapping[str, Kind] = {
    "audio": Unsupported("this model answers in text only."),
    "function_call": ReplacedField("it was replaced by tool_choice. Send that.", neutral=("none", "auto")),
    "functions": ReplacedField(
        'they were replaced by tools. Send each there, as {"type": "function", "function": …}.', neutral=([],)
    ),
    "modalities": Unsupported("this model answers in text only.", neutral=(["text"],)),
    "moderation": Unsupported("this server doesn't moderate."),
    "prediction": Unsupported("this server does not support predicted output."),
    "prompt_cache_options": Unsupported("prompts are cached by themselves.", neutral=({"mode": "implicit"},)),
    "reasoning_effort": Unsupported("this model doesn't reason.", neutral=("none",)),
    "verbosity": Unsupported("this model has no such setting; ask for it in a message.", neutral=("medium",)),
    "web_search_options": Unsupported("this server doesn't search the web."),
}
