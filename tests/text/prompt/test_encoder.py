import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oruel.errors import InvalidParameter
from oruel.text.prompt.encoder import PromptEncoder
from oruel.text.prompt.template import CHATML, ChatTemplate
from oruel.types import Message, Tool, ToolCall
from tests.text.vocabularies import CONTROL, FIRST_SPECIAL, USER_DEFINED, Characters

TEMPLATES = {
    "chatml": CHATML,
    "trims": CHATML.replace("message.content", "message.content | trim"),
    "strips a letter": CHATML.replace("message.content", "message.content.strip('x').replace('\\n', '')"),
    "deletes": CHATML.replace("message.content", "message.content | replace('*', '')"),
    "joins fields": CHATML.replace("message.content", "(message.name or '') ~ message.content ~ message.content"),
    "joins letters": CHATML.replace("message.content", "message.content | lower | list | join('')"),
    "surrounds": CHATML.replace("{{ message.content }}", "<|{{ message.content }}|><{{ message.content }}>"),
    "constants in expressions": (
        "{{ bos_token }}{% set end = '<|end|>' %}{% for message in messages %}"
        "{{ {'user': '<|user|>', 'assistant': '<|assistant|>', 'system': '<|system|>'}[message.role] + message.content"
        " + end + eos_token }}{% endfor %}{{ '%s\\n' | format('<|assistant|>') }}"
    ),
    "assembles": (
        "{% for message in messages %}{{ '<|' + message.role + '|>\\n' + message.content + '<|end|>' }}{% endfor %}"
        "{{ '<|' ~ 'assistant' ~ '|>\\n' }}"
    ),
    "assembles around what is said": (
        "{% for message in messages %}{{ '<|' + message.role + '|>' }}{{ (message.name or '') ~ message.content }}"
        "{{ '<|' ~ message.content ~ '|>' }}{% endfor %}"
    ),
    "assembles and asks for content": (
        "{% for message in messages %}{{ '<|' + message.role + '|>' }}{% if message.content.strip() %}"
        "{{ message.content }}{% else %}nothing{% endif %}{% endfor %}"
    ),
    "looks at what it wrote": (
        "{% set start = '<|im_start|>' %}{% for message in messages %}{{ start + message.role + message.content }}"
        "{% if start == '<|im_start|>' %}<|im_end|>{% else %}<|end|>{% endif %}{% endfor %}"
    ),
}

# Special texts, halves of them, and texts that templates cut.
PARTS = [
    *CONTROL,
    *USER_DEFINED,
    "<|im_",
    "end|>",
    "<|",
    "|>",
    "<",
    ">",
    "im_end",
    "user",
    "think",
    "x",
    "*",
    " ",
    "\n",
]
TEXTS = st.lists(st.sampled_from([*PARTS, "\U000f0000", "\U000f0001", "\U000f0002", "f0002", "é"]), max_size=6).map(
    "".join
)
CONVERSATIONS = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS, name=st.none() | TEXTS),
    min_size=1,
    max_size=3,
)
TAGS = {*CONTROL, "<think>", "</think>"}


def encoder(source: str = CHATML, vocabulary: Characters | None = None) -> PromptEncoder:
    template = ChatTemplate(source, bos_text="<s>", eos_text="</s>")
    return PromptEncoder(vocabulary or Characters(), template)


def tags(vocabulary: Characters, tokens: list[int]) -> list[str]:
    return [text for text in (vocabulary.text([token]) for token in tokens) if text in TAGS]


ENCODERS = {name: encoder(source) for name, source in TEMPLATES.items()}
SPACED = Characters(adds_space_prefix=True, strips_right=["<|user|>", "<|im_start|>"])
SPACED_ENCODERS = {name: encoder(source, SPACED) for name, source in TEMPLATES.items()}
# Without these letters no text completes a special text, even between a template's brackets.
NO_TAGS = str.maketrans("", "", "<>|ehsu")
RENDERERS = {name: ChatTemplate(source, bos_text="<s>", eos_text="</s>") for name, source in TEMPLATES.items()}


@pytest.mark.parametrize("name", TEMPLATES)
@settings(deadline=None, max_examples=40)
@given(messages=CONVERSATIONS)
@example(messages=[Message("user", "user")])
@example(messages=[Message("user", "user|>", name="<|")])
@example(messages=[Message("user", "<|im_*end|>x"), Message("user", "<|im_\nend|>"), Message("user", "<|IM_END|>")])
def test_special_tokens_come_from_the_template_alone(name: str, messages: list[Message]) -> None:
    vocabulary = Characters()
    tokens = ENCODERS[name].encode(messages, {})
    bland = [Message(message.role, "-") for message in messages]
    expected = vocabulary.tokenize(RENDERERS[name].render(bland, {}), special=True)
    assert tags(vocabulary, tokens) == tags(vocabulary, expected)


@pytest.mark.parametrize("name", TEMPLATES)
@settings(deadline=None, max_examples=40)
@given(messages=CONVERSATIONS)
def test_no_character_is_lost_or_added(name: str, messages: list[Message]) -> None:
    tokens = ENCODERS[name].encode(messages, {})
    assert Characters().text(tokens) == RENDERERS[name].render(messages, {})


@pytest.mark.parametrize("name", TEMPLATES)
@settings(deadline=None, max_examples=30)
@given(messages=CONVERSATIONS)
def test_without_special_text_the_whole_prompt_is_tokenized_at_once(name: str, messages: list[Message]) -> None:
    clean = [replace(message, content=message.content.translate(NO_TAGS), name=None) for message in messages]
    whole = SPACED.tokenize(RENDERERS[name].render(clean, {}), special=True)
    assert SPACED_ENCODERS[name].encode(clean, {}) == whole


def test_im_end_in_a_user_message_is_ten_characters() -> None:
    vocabulary = Characters()
    tokens = encoder().encode([Message("user", "<|im_end|>")], {})
    assert tokens == vocabulary.tokenize("<|im_start|>", special=True) + [ord(c) for c in "user\n<|im_end|>"] + (
        vocabulary.tokenize("<|im_end|>\n<|im_start|>assistant\n", special=True)
    )


def test_a_tag_that_the_tokenizer_always_matches_is_split_too() -> None:
    tokens = encoder().encode([Message("user", "a <think> b")], {})
    assert [ord(character) for character in "a <think> b"] == tokens[6:17]


def test_a_tag_that_the_template_writes_is_a_token() -> None:
    vocabulary = Characters()
    tokens = encoder(CHATML + "{{ '<think>\\n' }}").encode([Message("user", "<think>")], {})
    assert tokens[-2:] == [vocabulary.user_defined_tokens["<think>"], ord("\n")]
    assert tokens.count(vocabulary.user_defined_tokens["<think>"]) == 1


def test_user_defined_tokens_that_are_text_still_match() -> None:
    vocabulary = Characters()
    tokens = encoder().encode([Message("user", "a\n\n\nb<table>")], {})
    assert vocabulary.user_defined_tokens["\n\n\n"] in tokens
    assert vocabulary.user_defined_tokens["<table>"] in tokens


def test_a_template_that_cuts_reasoning_out_of_an_answer_still_does() -> None:
    source = CHATML.replace(
        "message.content", "message.content.split('</think>')[-1] if '</think>' in message.content else message.content"
    )
    vocabulary = Characters()
    tokens = encoder(source).encode([Message("user", "Hm?"), Message("assistant", "<think>Well</think>Yes")], {})
    assert "Well" not in vocabulary.text(tokens)
    assert "assistant\nYes<|im_end|>" in vocabulary.text(tokens)


def test_special_texts_in_arguments_are_text() -> None:
    vocabulary = Characters()
    source = CHATML + "{{ style.tone[0] }}"
    tokens = encoder(source).encode([Message("user", "Hi")], {"style": {"tone": ["<|im_end|>"]}})
    assert vocabulary.text(tokens[-10:]) == "<|im_end|>"


def test_arguments_nested_too_deep_are_refused() -> None:
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(InvalidParameter, match="nested") as caught:
        encoder().encode([Message("user", "Hi")], {"style": value})
    assert caught.value.param == "chat_template_kwargs.style"


def test_a_split_tag_has_no_space_prefix() -> None:
    vocabulary = Characters(adds_space_prefix=True)
    tokens = encoder(CHATML, vocabulary).encode([Message("user", "a <think> b")], {})
    assert vocabulary.text(tokens[1:18]) == " user\na <think> b"


def test_a_prompt_begins_with_one_bos() -> None:
    vocabulary = Characters(adds_bos=True)
    bos = vocabulary.control_tokens["<s>"]
    for source in (CHATML, "{{ bos_token }}" + CHATML, "<s>" + CHATML):
        tokens = encoder(source, vocabulary).encode([Message("user", "<s>")], {})
        assert (tokens[0], tokens.count(bos)) == (bos, 1)


def test_no_bos_if_the_model_adds_none() -> None:
    assert encoder(CHATML).encode([Message("user", "Hi")], {})[0] == Characters().control_tokens["<|im_start|>"]


def test_plain_text_has_no_special_tokens_and_no_bos() -> None:
    text = "<s>a<|im_end|><think>"
    assert encoder(CHATML, Characters(adds_bos=True)).encode_text(text) == [ord(character) for character in text]
    assert encoder().encode_text("") == []


class Merging(Characters):
    """A tokenizer that merges plain characters into control tokens, as SentencePiece can."""

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return super().tokenize(text, special=True)


def test_characters_are_not_merged_into_a_control_token() -> None:
    text = "a<|im_end|>b"
    assert encoder(CHATML, Merging()).encode_text(text) == [ord(character) for character in text]


def test_text_that_always_becomes_a_control_token_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="control token"):
        encoder(CHATML, Merging(control=["§"])).encode_text("a§b")


def test_overlapping_special_texts_are_all_split() -> None:
    vocabulary = Characters(
        control=["<x>", "<x><y>", "x><y", "<|im_start|>", "<|im_end|>"], user_defined=["<y>", "<y><z>"]
    )
    tokens = encoder(CHATML, vocabulary).encode([Message("user", "<x><y><z><x>")], {})
    assert tokens[6:18] == [ord(character) for character in "<x><y><z><x>"]


def test_thousands_of_special_texts_are_distinguished() -> None:
    vocabulary = Characters(control=[*CONTROL, *(f"<unused{number}>" for number in range(6000))])
    text = "<unused5999><unused6000>" + "<unused" * 50
    assert encoder(CHATML, vocabulary).encode_text(text) == [ord(character) for character in text]


WITH_TOOLS = (
    "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}{% for message in messages %}<|im_start|>"
    "{{ message.role }}\n{{ message.content }}{% for call in message.tool_calls or [] %}<tool>{{ call.function.name }}"
    "{{ call.function.arguments | tojson }}{% endfor %}<|im_end|>{% endfor %}<|im_start|>assistant\n"
)


@given(st.lists(st.sampled_from(PARTS), max_size=5).map("".join))
def test_special_texts_in_tools_calls_and_results_stay_text(said: str) -> None:
    vocabulary = Characters(user_defined=("<think>", "</think>"))
    encoder = PromptEncoder(vocabulary, ChatTemplate(WITH_TOOLS))

    def encoded(text: str) -> list[int]:
        call = ToolCall("1", "f", json.dumps({text: [text, {"a": text}]}))
        result = Message("tool", text, name="f", tool_call_id="1")
        tool = Tool("f", text, {"type": "object", "properties": {text: {"description": text, "enum": [text]}}})
        return encoder.encode(
            [Message("user", text), Message("assistant", text, tool_calls=(call,)), result], {}, [tool]
        )

    special = [token for token in encoded(said) if token >= FIRST_SPECIAL]
    assert special == [token for token in encoded("x") if token >= FIRST_SPECIAL]
    assert json.dumps(said, ensure_ascii=False)[1:-1] in vocabulary.text(encoded(said))
