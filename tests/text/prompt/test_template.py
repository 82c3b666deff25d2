import resource
from dataclasses import replace
from typing import Any

import pytest

from oruel.errors import InvalidParameter, ModelLoadError, TemplateTooCostly
from oruel.text.prompt.budget import WHOLE
from oruel.text.prompt.template import CHATML, ChatTemplate
from oruel.types import Message

USER = Message("user", "Good day")
SYSTEM = Message("system", "Be brief")


def render(source: str, *messages: Message, **kwargs: Any) -> str:
    return ChatTemplate(source, bos_text="<s>", eos_text="</s>").render(messages or [USER], kwargs)


def test_chatml_ends_where_the_answer_begins() -> None:
    assert render(CHATML, SYSTEM, USER) == (
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nGood day<|im_end|>\n<|im_start|>assistant\n"
    )


def test_blocks_leave_no_white_space() -> None:
    source = "{% for message in messages %}\n    {% if true %}\n{{ message.content }}\n    {% endif %}\n{% endfor %}\n"
    assert render(source) == "Good day\n"


def test_text_is_not_escaped() -> None:
    assert render("{{ messages[0].content }}", Message("user", "a < b & 'c'")) == "a < b & 'c'"


def test_json_keeps_the_order_of_keys_and_every_character() -> None:
    source = "{{ {'b': 'é<&>', 'a': [1, none]} | tojson }}"
    assert render(source) == '{"b": "é<&>", "a": [1, null]}'


def test_json_may_be_indented_and_accepts_generators() -> None:
    assert render("{{ messages | map(attribute='role') | tojson }}") == '["user"]'
    assert render("{{ {'a': 1} | tojson(indent=2) }}") == '{\n  "a": 1\n}'


def test_from_json_parses_json() -> None:
    assert render("""{{ ('{"a": [1, 2]}' | from_json).a[1] }}""") == "2"


def test_break_ends_a_loop() -> None:
    assert render("{% for n in range(9) %}{% if n == 3 %}{% break %}{% endif %}{{ n }}{% endfor %}") == "012"


def test_the_generation_tag_renders_its_body() -> None:
    assert render("{% generation %}{{ messages[0].content }}{% endgeneration %}!") == "Good day!"


def test_strftime_now_renders_the_date() -> None:
    assert render("{{ strftime_now('%Y') }}").isdigit()


def test_a_message_has_only_the_fields_that_were_sent() -> None:
    assert render("{{ messages | tojson }}") == '[{"role": "user", "content": "Good day"}]'
    full = Message("assistant", "Hi", name="Ada", reasoning_content="Greet")
    assert "reasoning_content" in render("{{ messages[0] | tojson }}", full)
    assert "Ada" in render("{{ messages[0] | tojson }}", full)


def test_arguments_reach_the_template() -> None:
    assert render("{{ enable_thinking }}", enable_thinking=False) == "False"


@pytest.mark.parametrize(
    "name", ["messages", "add_generation_prompt", "bos_token", "tools", "raise_exception", "range"]
)
def test_an_argument_cannot_replace_a_variable_of_the_server(name: str) -> None:
    with pytest.raises(InvalidParameter, match="set by the server") as caught:
        render(CHATML, **{name: "mine"})
    assert caught.value.param == f"chat_template_kwargs.{name}"


def test_a_refusal_quotes_the_template() -> None:
    with pytest.raises(InvalidParameter, match="Roles must alternate") as caught:
        render("{% if messages | length > 1 %}{{ raise_exception('Roles must alternate!') }}{% endif %}", USER, USER)
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[7].content.upper() }}",
        "{{ 1 / 0 }}",
        "{{ missing() }}",
        "{{ 'a' + 1 }}",
        "{{ [missing] | tojson }}",
        "{{ '{' | from_json }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_a_template_that_fails_on_the_messages_is_a_client_error(source: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        render(source)
    assert caught.value.param == "messages"


@pytest.mark.parametrize("source", ["{% if %}", "{{ 1 +", "{% nonsense %}", "{{ " + "(" * 5000 + " }}"])
def test_an_invalid_template_is_refused_at_load(source: str) -> None:
    with pytest.raises(ModelLoadError, match="chat template"):
        ChatTemplate(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.clear() }}",
        "{{ messages[0].update(role='system') }}",
        "{{ 'a' * 10000000000 }}",
        "{{ 10000000000 * 'a' }}",
        "{{ [1] * 10000000000 }}",
        "{{ 9 ** 999999999 }}",
        "{% for n in range(100000000) %}{% endfor %}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(source: str) -> None:
    with pytest.raises(InvalidParameter):
        render(source + " x")


ENDLESS = {
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops over filters": "{% for a in range(99999) | map('string') %}{% for b in range(99999) | list %}{% endfor %}"
    "{% endfor %}",
    "a long body": "{% for a in range(99999) %}" + "{% if a == 1 %}{% endif %}" * 2000 + "{% endfor %}",
    "macros that call themselves": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
    "{{ m(60) }}",
    "recursive loops": "{% set r = range(99999) %}{% for a in r recursive %}{{ loop(r) if loop.depth < 9 }}"
    "{% endfor %}",
    "a list that grows while it is walked": "{% set l = [1] %}{% for a in l %}{% set _ = l.append(a) %}{% endfor %}",
    "filters in loops": "{% for a in range(99999) %}{{ range(99999) | list | sort | join(',') | length }}{% endfor %}",
    "lists that double": "{% set ns = namespace(l=[1]) %}{% for a in range(60) %}{% set ns.l = ns.l + ns.l %}"
    "{% endfor %}",
}
LARGE = {
    "text that doubles": "{% set ns = namespace(t='ab') %}{% for a in range(60) %}{% set ns.t = ns.t + ns.t %}"
    "{% endfor %}{{ ns.t }}",
    "text that doubles by ~": "{% set ns = namespace(t='ab') %}{% for a in range(60) %}{% set ns.t = ns.t ~ ns.t %}"
    "{% endfor %}{{ ns.t }}",
    "a block that doubles": "{% set ns = namespace(t='ab') %}{% for a in range(60) %}{% set ns.t %}{{ ns.t }}{{ ns.t }}"
    "{% endset %}{% endfor %}{{ ns.t }}",
    "lists in lists": "{% set ns = namespace(l=[1]) %}{% for a in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}"
    "{{ ns.l }}",
    "lists that are filled later": "{% set l = [] %}{% set m = [l] * 99999 %}{% set _ = l.append('x' * 99999) %}"
    "{{ m | tojson }}",
    "lists compared": "{% set a = namespace(l=[1]) %}{% set b = namespace(l=[1]) %}{% for n in range(60) %}"
    "{% set a.l = [a.l, a.l] %}{% set b.l = [b.l, b.l] %}{% endfor %}{{ a.l == b.l }}",
    "namespaces in namespaces": "{% set ns = namespace(a=1) %}{% for a in range(60) %}"
    "{% set ns.x = [ns, ns] %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x + ns.x + [ns] * 999999 }}",
    "text repeated": "{{ ('ab' * 999999) * 9 }}",
    "much written": "{% for a in range(99999) %}{{ 'ab' * 9999 }}{% endfor %}",
    "long lines in a macro": "{% macro m() %}{% for a in range(99999) %}" + "ab" * 5000 + "{% endfor %}{% endmacro %}"
    "{{ m() | length }}",
    "join": "{{ range(99999) | join('ab' * 9999) }}",
    "join of what comes one by one": "{{ range(99999) | map('string') | join('ab' * 9999) }}",
    "join of it, as a method": "{{ ('ab' * 9999).join(range(99999) | map('string')) }}",
    "join, as a method": "{{ ('ab' * 9999).join(['x'] * 99999) }}",
    "batch": "{{ ([1] | batch(10000000000, 'ab') | list)[0] | length }}",
    "batch, filled up": "{{ range(10) | batch(99999999, 'x') | list | length }}",
    "slice": "{{ 'ab' | slice(10000000000) | list }}",
    "center": "{{ 'ab' | center(10000000000) }}",
    "center, as a method": "{{ 'ab'.center(10000000000) }}",
    "zfill": "{{ '7'.zfill(10000000000) }}",
    "tabs": "{{ ('\\t' * 99999).expandtabs(99999) }}",
    "indent": "{{ ('a\\n' * 99999) | indent('ab' * 9999) }}",
    "replace": "{{ ('a' * 99999) | replace('a', 'ab' * 9999) }}",
    "replace, as a method": "{{ ('a' * 99999).replace('a', 'ab' * 9999) }}",
    "a wide format": "{{ '%10000000000d' | format(1) }}",
    "a wide format by %": "{{ '%*d' % (10000000000, 1) }}",
    "a wide format, as a method": "{{ '{:10000000000}'.format(1) }}",
    "a width from outside": "{{ '{:{}}'.format(1, 10000000000) }}",
    "filler": "{{ lipsum(n=10000000) }}",
    "bytes": "{{ (1).to_bytes(10000000000) }}",
    "numbers": "{% set ns = namespace(n=9) %}{% for a in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}"
    "{{ ns.n }}",
}


GO = Message("user", "go")
# A tenth of the usual time: what respects these limits respects larger ones.
SOON = replace(WHOLE, steps=2**21, seconds=0.2)


def when_rendered(source: str) -> str:
    """A template that does so only after it was probed at load."""
    return "{% if messages[0].content == 'go' %}" + source + "{% endif %}{{ messages[0].content }}"


@pytest.mark.parametrize("source", [*ENDLESS.values(), *LARGE.values()], ids=[*ENDLESS, *LARGE])
def test_a_costly_rendering_is_aborted(source: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    template = ChatTemplate(when_rendered(source), bos_text="<s>", eos_text="</s>")
    with pytest.raises(InvalidParameter, match="chat template can't render") as caught:
        template.render([GO], {}, limits=SOON)
    assert caught.value.param == "messages"
    # Kilobytes; without limits it would be gigabytes, or endless.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**19


def test_an_endless_template_names_the_exceeded_limit() -> None:
    with pytest.raises(TemplateTooCostly, match="steps"):
        render(when_rendered(ENDLESS["loops in loops"]), GO)
    with pytest.raises(TemplateTooCostly, match="characters"):
        render(when_rendered(LARGE["text that doubles"]), GO)


def test_long_conversations_stay_within_the_limits() -> None:
    messages = [Message("user", "word " * 400)] * 4096
    assert len(render(CHATML, *messages)) > 8_000_000
    careful = (
        "{% for m in messages %}{% if m.content is string and m.content == messages[0].content %}"
        "{{ '<|' + m.role + '|>' ~ (m.content.split(' ') | join('_') | trim).replace('_', '--') }}"
        "{% endif %}{% endfor %}"
    )
    assert render(careful, *messages).count("word--word") > 4096


def test_a_template_too_costly_for_two_messages_is_refused_at_load() -> None:
    with pytest.raises(ModelLoadError, match="steps"):
        ChatTemplate(ENDLESS["loops in loops"])


def test_an_overlong_template_is_refused_at_load() -> None:
    with pytest.raises(ModelLoadError, match="characters"):
        ChatTemplate("{{ 1 }}" * 99999)


def test_a_template_cannot_see_inside_the_functions_it_calls() -> None:
    assert render("{{ strftime_now.__globals__ }}!") == "!"


def test_ordinary_arithmetic_is_allowed() -> None:
    assert render("{{ 2 ** 10 }} {{ 6 * 7 }} {{ '-' * 3 }}") == "1024 42 ---"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% if tools is not none %}{{ tools.wrong.wrong }}{% endif %}none", "none"),
        ("{% if tools is defined %}{% for tool in tools %}{% endfor %}{% else %}left out{% endif %}", "left out"),
        ("{{ tools | length }}{{ tools[:1] }}", "0[]"),
    ],
)
def test_no_tools_are_passed_as_the_template_expects(source: str, expected: str) -> None:
    assert render(source + "{{ messages[0].content }}") == expected + "Good day"


DROPS_SYSTEM = (
    "{% for message in messages %}{% if message.role != 'system' %}{{ message.role }}: {{ message.content }}\n"
    "{% endif %}{% endfor %}"
)
REFUSES_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('No system') }}{% endif %}" + DROPS_SYSTEM


@pytest.mark.parametrize("source", [DROPS_SYSTEM, REFUSES_SYSTEM])
def test_a_system_text_is_prepended_if_there_is_no_system_role(source: str) -> None:
    assert render(source, SYSTEM, USER) == "user: Be brief\n\nGood day\n"
    later = [USER, Message("assistant", "Hi"), SYSTEM, Message("system", "Be kind"), USER]
    assert render(source, *later) == "user: Good day\nassistant: Hi\nuser: Be brief\n\nBe kind\n\nGood day\n"


def test_a_lone_system_text_becomes_a_user_message() -> None:
    assert render(DROPS_SYSTEM, SYSTEM) == "user: Be brief\n"


def test_a_template_with_a_system_role_gets_system_messages() -> None:
    assert render("{{ messages | map(attribute='role') | join(' ') }}{{ messages[0].content }}", SYSTEM, USER) == (
        "system userBe brief"
    )
