"""Families of models whose way to call can't be read off their templates: entered by hand, recognised by texts that
only their templates hold.
"""

from dataclasses import dataclass, replace

from oruel.text.channels import Channels, Part
from oruel.text.tools.format import KIND, ToolFormat


@dataclass(frozen=True, slots=True)
class Family:
    """`signs`: a template that holds all of them is of this family. `formats`: the ways in which its models may write
    a call, the one of its template first; none where that can be read off. `prelude`: Jinja that goes before the
    template, for what it takes otherwise than as the API gives it.
    """

    name: str
    signs: tuple[str, ...]
    formats: tuple[ToolFormat, ...] = ()
    channels: Channels | None = None
    prelude: str = ""


HARMONY_CHANNELS = Channels(
    final=Part(f"<|channel|>final{KIND}<|message|>", "<|return|>"),
    reasoning=Part("<|channel|>analysis<|message|>", "<|end|>"),
    aside=Part("<|channel|>commentary<|message|>", "<|end|>"),
    again="<|start|>assistant",
)
# The recipient stands before the channel or behind it.
HARMONY = (
    ToolFormat(" to=functions.", f"<|channel|>commentary{KIND}<|message|>", "<|call|>"),
    ToolFormat("<|channel|>commentary to=functions.", f"{KIND}<|message|>", "<|call|>"),
)

# The template shows the first call of a message alone, and takes a message's text for reasoning: calls get messages of
# their own, each followed by its result, and the text goes before the first with the reasoning.
ONE_CALL_EACH = """
{%- set told = namespace(messages=[], thought='') -%}
{%- for message in messages -%}
{%- if message.role == 'assistant' and message.tool_calls -%}
{%- set told.thought = [message.reasoning_content, message.content] | select | join('\\n\\n') -%}
{%- set results = namespace(messages=[]) -%}
{%- for after in messages[loop.index:] -%}
{%- if after.role != 'tool' -%}{%- break -%}{%- endif -%}
{%- set results.messages = results.messages + [after] -%}
{%- endfor -%}
{%- for call in message.tool_calls -%}
{%- set thought = {'thinking': told.thought} if told.thought and loop.first else {} -%}
{%- set told.messages = told.messages + [dict(thought, role='assistant', content='', tool_calls=[call])] -%}
{%- set told.messages = told.messages + results.messages | selectattr('tool_call_id', 'equalto', call.id) | list -%}
{%- endfor -%}
{%- elif message.role != 'tool' -%}
{%- set told.messages = told.messages + [message] -%}
{%- endif -%}
{%- endfor -%}
{%- set messages = told.messages +%}"""

FAMILIES = (
    Family(
        "Harmony with several calls",
        ("<|channel|>analysis<|message|>", "llm-jp-harmony"),
        tuple(replace(each, between=f"<|end|><|start|>assistant{HARMONY[0].begin}") for each in HARMONY[:1])
        + HARMONY[1:],
        HARMONY_CHANNELS,
    ),
    Family("Harmony", ("<|channel|>analysis<|message|>", "<|call|>"), HARMONY, HARMONY_CHANNELS, ONE_CALL_EACH),
)


def family_of(template: str) -> Family | None:
    return next((family for family in FAMILIES if all(sign in template for sign in family.signs)), None)
