"""An example request for each parameter: the parameter page's, or one of our own where the page has none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """A prompt, and the other fields of the request. `system` is empty if there is no system message."""

    prompt: str
    fields: Mapping[str, Any]
    system: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fields of the request, as the server accepts them."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {"messages": [*system, {"role": "user", "content": self.prompt}], **self.fields}


JOKE = "Tell me a joke."
WEATHER = "What is the weather in Paris?"
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

EXAMPLES: Mapping[str, Example] = {
    "temperature": Example("Write a creative opening line for a novel.", {"temperature": 1.2}),
    "top_p": Example("Summarize this article.", {"top_p": 0.9, "temperature": 0.7}),
    "top_k": Example("Generate a creative poem.", {"top_k": 50}),
    "min_p": Example("Explain quantum computing.", {"min_p": 0.05}),
    "seed": Example(JOKE, {"seed": 42}),
    "max_tokens": Example("What is Python?", {"max_tokens": 50}),
    "max_completion_tokens": Example("What is Python?", {"max_completion_tokens": 50}),
    "stop": Example("List 3 fruits:", {"stop": ["\n4.", "\n\n"]}),
    "frequency_penalty": Example("Write a long essay about space.", {"frequency_penalty": 0.5}),
    "presence_penalty": Example("Brainstorm business ideas.", {"presence_penalty": 0.8}),
    "repetition_penalty": Example("Write a story.", {"repetition_penalty": 1.15}),
    "response_format": Example(
        "List 3 programming languages with their year of creation.",
        {"response_format": {"type": "json_object"}},
        system="Output valid JSON.",
    ),
    "stream": Example(JOKE, {"stream": True}),
    "stream_options": Example(JOKE, {"stream": True, "stream_options": {"include_usage": True}}),
    "tools": Example(WEATHER, {"tools": [WEATHER_TOOL]}),
    "tool_choice": Example(
        WEATHER,
        {"tools": [WEATHER_TOOL], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    ),
    "parallel_tool_calls": Example(
        "What is the weather in Paris and in Rome?", {"tools": [WEATHER_TOOL], "parallel_tool_calls": False}
    ),
    "tier": Example("Hello!", {"tier": "turbo"}),
    "n": Example(JOKE, {"n": 3}),
    "logprobs": Example(JOKE, {"logprobs": True}),
    "top_logprobs": Example(JOKE, {"logprobs": True, "top_logprobs": 5}),
    # In the demo model, 1168 is "Why", the word that most of its jokes begin with.
    "logit_bias": Example(JOKE, {"logit_bias": {"1168": -100}}),
    "trace": Example(JOKE, {"trace": {"top": 5}}),
}
"""By the parameter's name. `chat_template_kwargs` has none: which keys a request may set depends on the model."""
