"""Model families whose call format can't be derived from their templates. Each is recognised by texts that only its
templates contain.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from oruel.text.arguments.elements import ElementSyntax
from oruel.text.arguments.quoted import GEMMA, PYTHON
from oruel.text.arguments.tagged import TagSyntax
from oruel.text.formats.calls import ToolFormat
from oruel.text.formats.channels import ChannelPart, Channels
from oruel.text.placeholders import INDEX, KIND, LOWER_ID, NAME_AGAIN, TYPE

PRELUDES = Path(__file__).parent / "preludes"


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


def read_prelude(name: str) -> str:
    """Jinja code from the folder `preludes`. Each file says at its top what it adapts."""
    return (PRELUDES / f"{name}.jinja").read_text(encoding="utf-8").removesuffix("\n")


HARMONY_CHANNELS = Channels(
    final=ChannelPart(f"<|channel|>final{KIND}<|message|>", "<|return|>"),
    reasoning=ChannelPart("<|channel|>analysis<|message|>", "<|end|>"),
    aside=ChannelPart("<|channel|>commentary<|message|>", "<|end|>"),
    separator="<|start|>assistant",
)
# The recipient is before or after the channel.
HARMONY = (
    ToolFormat(" to=functions.", f"<|channel|>commentary{KIND}<|message|>", "<|call|>"),
    ToolFormat("<|channel|>commentary to=functions.", f"{KIND}<|message|>", "<|call|>"),
)

FUNCTIONARY = Family(
    "Functionary 3.2",
    (">>>${recipient}", ">>>all"),
    (ToolFormat("", "\n", "", between=">>>"),),
    Channels(final=ChannelPart("all\n", ""), aside=ChannelPart("all\n", ">>>")),
    read_prelude("arguments_as_text"),
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
        separator="<|begin|>assistant",
    ),
    read_prelude("reasoning_renamed"),
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
        separator="<|start|>assistant",
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
K2_HORIZON = Family(
    "K2 Horizon", ("<ifm|tool_call>", "missing a thinking field"), prelude=read_prelude("reasoning_always")
)

LFM2 = Family(
    "LFM2",
    ("List of tools: ",),
    (ToolFormat("<|tool_call_start|>[", "(", ")]<|tool_call_end|>", between="), ", arguments=PYTHON),),
    prelude=read_prelude("calls_in_python"),
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
    prelude=read_prelude("calls_as_list"),
)

FIREFUNCTION = Family(
    "Firefunction 2",
    ("functools[", "+ functions"),
    (ToolFormat('functools[{"name": "', '", "arguments": ', "}]", between='}, {"name": "'),),
    prelude=read_prelude("functions_as_text"),
)
DEEPSEEK_3_1 = Family(
    "DeepSeek 3.1", ("is_last_user=false", "<｜tool▁sep｜>"), prelude=read_prelude("functions_in_system")
)

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
    Family(
        "Harmony",
        ("<|channel|>analysis<|message|>", "<|call|>"),
        HARMONY,
        HARMONY_CHANNELS,
        read_prelude("one_call_per_message"),
    ),
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
