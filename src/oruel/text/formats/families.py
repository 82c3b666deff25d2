"""Model families whose call format can't be derived from their templates. Each is recognised by texts that only its
templates contain.
"""

from dataclasses import dataclass, replace

from oruel.text.arguments.elements import ElementSyntax
from oruel.text.arguments.quoted import GEMMA, PYTHON
from oruel.text.arguments.tagged import TagSyntax
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.channels import ChannelPart, Channels
from oruel.text.placeholders import INDEX, KIND, LOWER_ID, NAME_AGAIN, TYPE


@dataclass(frozen=True, slots=True)
class Family:
    """`signs`: a template that contains all of them belongs to the family. `formats`: the ways in which its models may
    write a call, first the template's; empty if that can be derived. `prelude`: Jinja code before the template that
    adapts the API's variables to what it expects.
    """

    name: str
    signs: tuple[str, ...]
    formats: tuple[ToolFormat, ...] = ()
    channels: Channels | None = None
    prelude: str = ""


HARMONY_CHANNELS = Channels(
    final=ChannelPart(f"<|channel|>final{KIND}<|message|>", "<|return|>"),
    reasoning=ChannelPart("<|channel|>analysis<|message|>", "<|end|>"),
    aside=ChannelPart("<|channel|>commentary<|message|>", "<|end|>"),
    again="<|start|>assistant",
)
# The recipient is before or after the channel.
HARMONY = (
    ToolFormat(" to=functions.", f"<|channel|>commentary{KIND}<|message|>", "<|call|>"),
    ToolFormat("<|channel|>commentary to=functions.", f"{KIND}<|message|>", "<|call|>"),
)

# The template renders only the first call of a message, and takes the message's text for reasoning. So each call
# becomes a message of its own, followed by its result, and the text goes before the first with the reasoning.
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

# Arguments as JSON text, and reasoning under its other name.
ARGUMENTS_AS_TEXT = """
{%- set told = namespace(messages=[], calls=[]) -%}
{%- for message in messages -%}
{%- set told.calls = [] -%}
{%- for call in message.tool_calls or [] -%}
{%- set text = dict(call.function, arguments=call.function.arguments | tojson) -%}
{%- set told.calls = told.calls + [dict(call, function=text)] -%}
{%- endfor -%}
{%- set told.messages = told.messages + [dict(message, tool_calls=told.calls) if told.calls else message] -%}
{%- endfor -%}
{%- set messages = told.messages +%}"""
REASONING_RENAMED = """
{%- set told = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- set told.messages = told.messages + [dict(message, reasoning=message.reasoning_content)] -%}
{%- endfor -%}
{%- set messages = told.messages +%}"""
# Other efforts use other markers, which the reader would take for content.
REASONING_ALWAYS = """
{%- if reasoning_effort is defined and reasoning_effort != 'high' -%}
{{- raise_exception('of its reasoning_effort, only "high" can be told from the answer') -}}
{%- endif -%}
{%- set told = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- set told.messages = told.messages + [dict({'reasoning_content': ''}, **message)] -%}
{%- endfor -%}
{%- set messages = told.messages +%}"""

FUNCTIONARY = Family(
    "Functionary 3.2",
    (">>>${recipient}", ">>>all"),
    (ToolFormat("", "\n", "", between=">>>"),),
    Channels(final=ChannelPart("all\n", ""), aside=ChannelPart("all\n", ">>>")),
    ARGUMENTS_AS_TEXT,
)
SOLAR = Family(
    "Solar Open",
    ("<|tool_call:begin|>", "<|tool_call:args|>", "<|think|>"),
    (
        ToolFormat(
            f"<|tool_calls|><|tool_call:begin|>{LOWER_ID}<|tool_call:name|>",
            "<|tool_call:args|>",
            "<|tool_call:end|><|calls|>",
            between=f"<|tool_call:end|><|tool_call:begin|>{LOWER_ID}<|tool_call:name|>",
        ),
    ),
    Channels(
        final=ChannelPart("<|content|>", "<|end|>"),
        reasoning=ChannelPart("<|think|>", "<|end|>"),
        again="<|begin|>assistant",
    ),
    REASONING_RENAMED,
)
MUSE = Family(
    "Muse Glimmer",
    ("<atem:function_calls>", " to=self<|message|>"),
    (
        ToolFormat(
            " to=",
            f'<|message|><atem:function_calls>\n<atem:invoke name="{NAME_AGAIN}">\n',
            "</atem:invoke>\n</atem:function_calls><|eot|>",
            between="</atem:invoke>\n</atem:function_calls><|eom|><|start|>assistant to=",
            arguments=TagSyntax('<atem:parameter name="', '">', "</atem:parameter>\n", '">', exact=True),
        ),
    ),
    Channels(
        final=ChannelPart(" to=user<|message|>", "<|eot|>"),
        reasoning=ChannelPart(" to=self<|message|>", "<|eom|>"),
        aside=ChannelPart(" to=user<|message|>", "<|eom|>"),
        again="<|start|>assistant",
    ),
)
KIMI_K3 = Family(
    "Kimi K3",
    ("<|open|>", "<|close|>", "argument", "xtml"),
    (
        ToolFormat(
            '<|open|>tools<|sep|><|open|>call tool="',
            f'" index="{INDEX}"<|sep|>',
            "<|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|><|end_of_msg|>",
            between='<|close|>call<|sep|><|open|>call tool="',
            arguments=TagSyntax(
                '<|open|>argument key="',
                '" type="string"<|sep|>',
                "<|close|>argument<|sep|>",
                f'" type="{TYPE}"<|sep|>',
                exact=True,
            ),
        ),
    ),
    Channels(
        final=ChannelPart("<|open|>response<|sep|>", "<|close|>response<|sep|><|close|>message<|sep|><|end_of_msg|>"),
        reasoning=ChannelPart("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
        aside=ChannelPart("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
    ),
)
K2_HORIZON = Family("K2 Horizon", ("<ifm|tool_call>", "missing a thinking field"), prelude=REASONING_ALWAYS)

# Calls as its models write them. Some templates render none, and others don't escape what they quote.
CALLS_IN_PYTHON = """
{%- macro in_python(value) -%}
{%- if value is mapping -%}
{{- '{' -}}
{%- for key, item in value.items() -%}
{{- key | tojson ~ ': ' ~ in_python(item) ~ ('' if loop.last else ', ') -}}
{%- endfor -%}
{{- '}' -}}
{%- elif value is string or value is number and value is not boolean -%}{{- value | tojson -}}
{%- elif value is boolean or value is none -%}{{- value -}}
{%- else -%}
{{- '[' -}}
{%- for item in value -%}{{- in_python(item) ~ ('' if loop.last else ', ') -}}{%- endfor -%}
{{- ']' -}}
{%- endif -%}
{%- endmacro -%}
{%- set told = namespace(messages=[], calls=[], given=[], said={}) -%}
{%- for message in messages -%}
{%- set told.said = {'role': message.role, 'content': message.content} -%}
{%- if message.tool_calls -%}
{%- set told.calls = [] -%}
{%- for call in message.tool_calls -%}
{%- set told.given = [] -%}
{%- for key, value in call.function.arguments.items() -%}
{%- set told.given = told.given + [key ~ '=' ~ in_python(value)] -%}
{%- endfor -%}
{%- set told.calls = told.calls + [call.function.name ~ '(' ~ told.given | join(', ') ~ ')'] -%}
{%- endfor -%}
{%- set calls = '<|tool_call_start|>[' ~ told.calls | join(', ') ~ ']<|tool_call_end|>' -%}
{%- set told.said = dict(told.said, content=message.content ~ calls) -%}
{%- endif -%}
{%- if message.reasoning_content -%}
{%- set told.said = dict(told.said, thinking=message.reasoning_content) -%}
{%- endif -%}
{%- set told.messages = told.messages + [told.said] -%}
{%- endfor -%}
{%- set messages = told.messages +%}"""
CALLS_AS_LIST = """
{%- set told = namespace(messages=[], calls=[]) -%}
{%- for message in messages -%}
{%- set told.calls = [] -%}
{%- for call in message.tool_calls or [] -%}
{%- set told.calls = told.calls + [{'name': call.function.name, 'arguments': call.function.arguments}] -%}
{%- endfor -%}
{%- set calls = '<|tool_call|>' ~ told.calls | tojson if told.calls else '' -%}
{%- set told.messages = told.messages + [dict(message, content=message.content ~ calls)] -%}
{%- endfor -%}
{%- set messages = told.messages +%}"""

LFM2 = Family(
    "LFM2",
    ("List of tools: ",),
    (ToolFormat("<|tool_call_start|>[", "(", ")]<|tool_call_end|>", between="), ", arguments=PYTHON),),
    prelude=CALLS_IN_PYTHON,
)
GEMMA_4 = Family(
    "Gemma 4",
    ("<|tool_call>call:", '<|"|>'),
    (ToolFormat("<|tool_call>call:", "{", "}<tool_call|>", between="}<tool_call|><|tool_call>call:", arguments=GEMMA),),
)
GRANITE_3 = Family(
    "Granite 3.3",
    ("respond only with <|tool_call|> followed by",),
    (ToolFormat('<|tool_call|>[{"name": "', '", "arguments": ', "}]", between='}, {"name": "'),),
    prelude=CALLS_AS_LIST,
)

# The template expects the functions and the date under its own names.
FUNCTIONS_AS_TEXT = """
{%- set functions = (tools or []) | tojson -%}
{%- set datetime = strftime_now('%Y-%m-%d') +%}"""
# The template expects the caller to describe the functions in the system message.
FUNCTIONS_IN_SYSTEM = """
{%- if tools -%}
{%- set told -%}
{{- '\n\n## Tools\nYou have these tools:' -}}
{%- for tool in tools -%}
{{- '\n\n### ' ~ tool.function.name ~ '\nDescription: ' ~ tool.function.description -}}
{{- '\n\nParameters: ' ~ tool.function.parameters | tojson -}}
{%- endfor -%}
{{- '\n\nTo use tools, write nothing but this, the calls one behind the other:\n' -}}
{{- '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>NAME<｜tool▁sep｜>ARGUMENTS<｜tool▁call▁end｜>' -}}
{{- '<｜tool▁calls▁end｜>\nNAME is the name of a tool, ARGUMENTS a JSON object as its parameters say.' -}}
{%- endset -%}
{%- set messages = [{'role': 'system', 'content': told}] + messages -%}
{%- endif +%}"""

FIREFUNCTION = Family(
    "Firefunction 2",
    ("functools[", "+ functions"),
    (ToolFormat('functools[{"name": "', '", "arguments": ', "}]", between='}, {"name": "'),),
    prelude=FUNCTIONS_AS_TEXT,
)
DEEPSEEK_3_1 = Family("DeepSeek 3.1", ("is_last_user=false", "<｜tool▁sep｜>"), prelude=FUNCTIONS_IN_SYSTEM)

MINIMAX = "]<]minimax[>["
MINIMAX_M3 = Family(
    "MiniMax M3",
    (MINIMAX, "<tool_call>"),
    (
        ToolFormat(
            f'{MINIMAX}<tool_call>\n{MINIMAX}<invoke name="',
            '">',
            f"{MINIMAX}</invoke>\n{MINIMAX}</tool_call>",
            between=f'{MINIMAX}</invoke>\n{MINIMAX}<invoke name="',
            arguments=ElementSyntax(MINIMAX),
        ),
    ),
)

FAMILIES = (
    Family(
        "Harmony with several calls",
        ("<|channel|>analysis<|message|>", "llm-jp-harmony"),
        tuple(replace(each, between=f"<|end|><|start|>assistant{HARMONY[0].begin}") for each in HARMONY[:1])
        + HARMONY[1:],
        HARMONY_CHANNELS,
    ),
    Family("Harmony", ("<|channel|>analysis<|message|>", "<|call|>"), HARMONY, HARMONY_CHANNELS, ONE_CALL_EACH),
    FUNCTIONARY,
    SOLAR,
    MUSE,
    KIMI_K3,
    K2_HORIZON,
    LFM2,
    GEMMA_4,
    GRANITE_3,
    FIREFUNCTION,
    DEEPSEEK_3_1,
    MINIMAX_M3,
)


def family_of(template: str) -> Family | None:
    return next((family for family in FAMILIES if all(sign in template for sign in family.signs)), None)
