"""Fields of OpenAI's API beside our parameters: recorded, inert, or refused by name unless they ask for nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from oruel.contract.functions import Replaced
from oruel.contract.kinds import Choice, JSONSchema, Kind, Refused, String, abbreviate, invalid


@dataclass(frozen=True)
class StringMap:
    """An object from strings to strings, all of bounded length."""

    key: String
    value: String
    maximum: int

    def parse(self, value: object, path: str) -> dict[str, str]:
        if not isinstance(value, dict) or len(value) > self.maximum:
            raise invalid(self, value, path)
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


# They don't change the text, and go to the log with the request.
RECORDED: Mapping[str, Kind] = {
    "user": String(0, 1024),
    "metadata": StringMap(String(1, 64), String(0, 512), maximum=16),
    "safety_identifier": String(0, 1024),
}
# They change nothing, by their own definition.
INERT: Mapping[str, Kind] = {
    "store": Refused("answers are not stored.", neutral=(False,)),
    "service_tier": Refused('tier chooses between "standard" and "turbo" here.', neutral=("auto", "default")),
    "prompt_cache_key": String(0, 1024),
    "prompt_cache_retention": Choice(("in_memory", "in-memory", "24h")),
}

# They would change the text; each with the values that ask for nothing.
REFUSED: Mapping[str, Kind] = {
    "audio": Refused("this model answers in text only."),
    "function_call": Replaced("it was replaced by tool_choice. Send that.", neutral=("none", "auto")),
    "functions": Replaced(
        'they were replaced by tools. Send each there, as {"type": "function", "function": …}.', neutral=([],)
    ),
    "modalities": Refused("this model answers in text only.", neutral=(["text"],)),
    "moderation": Refused("this server doesn't moderate."),
    "prediction": Refused("this server takes no predicted output."),
    "prompt_cache_options": Refused("prompts are cached by themselves.", neutral=({"mode": "implicit"},)),
    "reasoning_effort": Refused("this model doesn't reason.", neutral=("none",)),
    "verbosity": Refused("this model has no such setting; say it in a message.", neutral=("medium",)),
    "web_search_options": Refused("this server doesn't search the web."),
}
