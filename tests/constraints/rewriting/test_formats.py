"""Strings of each format, written at random by its pattern, are valid for two validators; and common ones can be
written.
"""

import json
import random
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from oruel.constraints.rewriting.formats import FORMATS
from oruel.constraints.schema import BYTES, json_grammar, left_out
from oruel.constraints.weight import check_weight
from oruel.errors import SchemaRefused

COMMON = {
    "date": ["2026-11-28", "2024-02-29", "2000-02-29", "1999-12-31", "0001-01-01"],
    "time": ["23:59:59Z", "00:00:00.123456+05:30"],
    "date-time": ["2026-11-28T09:43:44Z", "2026-11-28T09:43:44.5-08:00"],
    "duration": ["P1Y2M3DT4H5M6S", "PT90M", "P3W", "P1M"],
    "email": ["jane.doe+news@mail.example.org", "a@b", "o'neil@example.co.uk"],
    "idn-email": ["jürgen@müller.de", "用户@例子.中国"],
    "hostname": ["example.org", "a", "www.a-b.xn.example.co.uk", "a" * 31 + ".org"],
    "idn-hostname": ["müller.de", "例子.中国", "пример.рф", "example.org"],
    "ipv4": ["0.0.0.0", "255.255.255.255", "192.168.1.10"],
    "ipv6": ["::", "::1", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "fe80::"],
    "uuid": ["01234567-89ab-cdef-0123-456789ABCDEF"],
    "uri": ["https://example.org:8080/a/b?x=1&y=%20#top", "mailto:a@b.c", "urn:isbn:0451450523", "http://[::1]/"],
    "uri-reference": ["/a/b", "../a?x#y", "#top", "", "//example.org/a", "https://example.org"],
    "iri": ["https://müller.de/straße?ß=ü", "http://例子.中国/"],
    "iri-reference": ["/straße#ü", ""],
    "uri-template": ["/users/{id}{?page,size:3}", "{+path*}/here", "none"],
    "json-pointer": ["", "/a/0/~0b~1c", "/größe x"],
    "relative-json-pointer": ["0", "1/a/b", "12#"],
    "regex": [r"^[a-z]{2,}(?:-\d+)*$", r"a|b", r"^\S+@\S+\.\w+$", "[^,;]+"],
}
INVALID = {
    "date": ["2023-02-29", "1900-02-29", "2026-04-31", "2026-13-01", "0000-01-01", "2026-1-1", "2026-11-28 "],
    "time": ["24:00:00Z", "12:60:00Z", "12:00:60Z", "12:00:00", "12:00Z"],
    "date-time": ["2026-11-28", "2026-11-28 09:43:44Z", "2026-02-30T00:00:00Z", "2026-11-28T24:00:00Z"],
    "duration": ["P", "PT", "1D", "P1D2W", "PT1D"],
    "email": ["a", "@b", "a@", "a..b@c", ".a@b", "a@-b", "a b@c", "a" * 65 + "@b"],
    "hostname": ["", "-a", "a-", "a..b", "a_b", "a" * 64, ".".join(["a" * 60] * 5)],
    "ipv4": ["256.0.0.1", "1.2.3", "01.2.3.4", "1.2.3.4.5"],
    "ipv6": [":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::"],
    "uuid": ["0123456789abcdef0123456789abcdef", "g1234567-89ab-cdef-0123-456789abcdef"],
    "uri": ["/a", "a b:", "http://[::1", "http://a/<>", "1a:b", "a:%2"],
    "uri-reference": ["a b", "\\", "1:a", "%zz"],
    "uri-template": ["{", "{}", "{a", "}", "a b"],
    "json-pointer": ["a", "/~2", "/~"],
    "relative-json-pointer": ["", "-1", "01", "1#/a", "a"],
    "regex": ["(", "[", "*", "a**", "[z-a]", "a{2,1}", "\\"],
}
SAMPLES = 40


def can_be_written(schema: dict[str, Any], text: str) -> bool:
    matcher = BYTES.matcher(json_grammar(schema))
    data = list(json.dumps(text, ensure_ascii=False).encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


def string_of(name: str, chance: random.Random) -> str:
    """A random string of the format, with a preference for its end after a random length."""
    matcher = BYTES.matcher(json_grammar({"type": "string", "format": name}))
    written, most = bytearray(), chance.choice([4, 20, 300])
    while not matcher.is_accepting():
        bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")[:256]
        allowed = [int(byte) for byte in np.flatnonzero(bits)]
        kinds: dict[object, list[int]] = {}
        for byte in allowed:
            kinds.setdefault((chr(byte).isdigit(), chr(byte).isalpha(), byte < 128), []).append(byte)
        byte = (
            ord('"') if len(written) > most and ord('"') in allowed else chance.choice(chance.choice([*kinds.values()]))
        )
        written.append(byte)
        matcher.consume_token(byte)
    return str(json.loads(written.decode()))


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_valid_by_the_format(name: str) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    in_rust = jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True)
    # Some checks need packages that are only there with jsonschema's extra "format".
    in_python = Draft202012Validator.FORMAT_CHECKER
    for _ in range(SAMPLES):
        text = string_of(name, chance)
        assert in_rust.is_valid(text), text
        assert in_python.conforms(text, name), text


@pytest.mark.parametrize(("name", "text"), [(name, text) for name in COMMON for text in COMMON[name]])
def test_common_strings_of_each_format_can_be_written(name: str, text: str) -> None:
    assert can_be_written({"type": "string", "format": name}, text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name in INVALID for text in INVALID[name]])
def test_strings_that_are_almost_of_a_format_cannot_be_written(name: str, text: str) -> None:
    assert not can_be_written({"type": "string", "format": name}, text)


def test_all_formats_of_the_drafts_from_7_on_are_enforced() -> None:
    assert FORMATS.keys() == COMMON.keys()
    for name in FORMATS:
        assert left_out({"type": "string", "format": name}) == ((), ())


def test_a_format_holds_beside_a_pattern_and_lengths() -> None:
    schema = {
        "type": ["string", "null"],
        "format": "email",
        "pattern": "@example[.]org",
        "minLength": 14,
        "allOf": [{"pattern": "^[a-z]"}],
    }
    assert left_out(schema) == ((), ())
    assert can_be_written(schema, "ab@example.org")
    for text in ("a@example.org", "0b@example.org", "ab@example.com", "a b@example.org"):
        assert not can_be_written(schema, text)


@pytest.mark.parametrize("more", [{"maxLength": 5}, {"minLength": 11}, {"pattern": "^x"}, {"enum": ["2023-02-29"]}])
def test_a_format_that_contradicts_another_keyword_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(SchemaRefused):
        left_out({"type": "string", "format": "date", **more})


def test_values_of_other_types_have_no_format() -> None:
    matcher = BYTES.matcher(json_grammar({"format": "date"}))
    assert matcher.try_consume_tokens(list(b"17")) == 2


def test_hundreds_of_strings_with_formats_are_light_enough() -> None:
    properties = {f"{name}{number}": {"type": "string", "format": name} for name in FORMATS for number in range(20)}
    schema = {"type": "object", "properties": properties}
    assert left_out(schema) == ((), ())
    assert check_weight(schema) < 5_000


def test_names_of_a_format_are_enforced() -> None:
    schema = {"type": "object", "propertyNames": {"format": "date"}, "additionalProperties": {"type": "integer"}}
    assert left_out(schema) == ((), ())
    matcher = BYTES.matcher(json_grammar(schema))
    for text, fits in (('{"2024-02-29": 1}', True), ('{"2023-02-29": 1}', False), ('{"2024-02-29": "a"}', False)):
        assert (matcher.deep_copy().try_consume_tokens(list(text.encode())) == len(text)) == fits
