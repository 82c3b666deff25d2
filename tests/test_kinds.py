"""Kinds of JSON value: strict parsing, errors that name the path, and matching schemas and descriptions."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.contract.kinds import (
    Array,
    Boolean,
    FreeObject,
    Integer,
    Kind,
    Number,
    Object,
    String,
    StringEnum,
    StringOrArray,
    TaggedUnion,
    TokenMap,
    Unsupported,
    abbreviate,
    describe,
    nearest,
)  # fmt: skip
from oruel.errors import InvalidParameter, RequestError, UnknownParameter, UnsupportedParameter

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
person = Object({"name": String(1, 5), "age": Integer(0, 9)}, required=("name",))
shape = TaggedUnion(
    "type", {"dot": Object({"type": StringEnum(("dot",)), "x": Integer(0, 9)}), "cube": Unsupported("it is flat.")}
)
KINDS: list[Kind] = [
    Number(0, 2), Integer(-3, 3), Boolean(), StringEnum(("a", "b")), String(1, 3), Array(Integer(0, 1), 1, 2),
    StringOrArray(String(1, 3), Array(String(), maximum=2)), TokenMap(Number(-1, 1), 2), person, shape, FreeObject(2),
    Unsupported("never.", neutral=("auto", [])),
]  # fmt: skip


@given(json_values, st.sampled_from(KINDS))
def test_any_value_is_accepted_or_refused_with_its_path(value: object, kind: Kind) -> None:
    try:
        kind.parse(value, "here")
        refusal = None
    except RequestError as error:
        refusal = error
    if refusal is not None:
        assert (refusal.param or "").startswith("here")
        assert "here" in refusal.message
        refusal.message.encode()


@given(st.floats() | st.integers(), st.floats(-5, 5), st.floats(-5, 5))
def test_a_number_is_accepted_exactly_if_it_is_in_range(value: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    if not math.isnan(value) and low <= value <= high:
        assert Number(low, high).parse(value, "x") == value
    else:
        with pytest.raises(InvalidParameter):
            Number(low, high).parse(value, "x")


@pytest.mark.parametrize(("value", "whole"), [(3, 3), (3.0, 3), (-3.0, -3), (-0.0, 0)])
def test_a_float_without_a_fraction_is_an_integer(value: object, whole: int) -> None:
    parsed = Integer(-3, 3).parse(value, "x")
    assert (parsed, type(parsed)) == (whole, int)


@pytest.mark.parametrize("value", [True, False, "3", 2.5, math.nan, math.inf, None, 4, -4, 10**400])
def test_other_values_are_not_integers(value: object) -> None:
    with pytest.raises(InvalidParameter):
        Integer(-3, 3).parse(value, "x")


def test_a_boolean_is_not_a_number() -> None:
    for value in (True, False):
        with pytest.raises(InvalidParameter):
            Number(0, 2).parse(value, "x")


def test_lengths_are_in_code_points() -> None:
    assert String(1, 3).parse("😀😀😀", "x") == "😀😀😀"
    with pytest.raises(InvalidParameter, match="but has 4"):
        String(1, 3).parse("e\u0301e\u0301", "x")


def test_a_lone_surrogate_is_not_text() -> None:
    with pytest.raises(InvalidParameter, match="surrogate"):
        String().parse("a\ud83d", "x")


def test_an_unknown_field_is_refused_with_its_path_and_a_suggestion() -> None:
    with pytest.raises(UnknownParameter, match='Did you mean "age"') as refused:
        Array(person).parse([{"name": "a"}, {"name": "b", "agee": 1}], "people")
    assert refused.value.param == "people[1].agee"


@pytest.mark.parametrize(("value", "state"), [({}, "missing"), ({"name": None}, "null")])
def test_a_required_field_says_whether_it_is_missing_or_null(value: dict[str, Any], state: str) -> None:
    with pytest.raises(InvalidParameter, match=f"person.name is required .* but is {state}"):
        person.parse(value, "person")


def test_null_counts_as_absent_for_an_optional_field() -> None:
    assert person.parse({"name": "a", "age": None}, "") == {"name": "a"}


def test_a_tagged_union_is_parsed_by_its_tag() -> None:
    assert shape.parse({"type": "dot", "x": 1}, "s") == {"type": "dot", "x": 1}
    for value, param in [({"type": "ball"}, "s.type"), ({}, "s.type"), ({"type": []}, "s.type"), ([], "s")]:
        with pytest.raises(InvalidParameter) as refused:
            shape.parse(value, "s")
        assert refused.value.param == param
    with pytest.raises(UnsupportedParameter, match="it is flat"):
        shape.parse({"type": "cube"}, "s")


@pytest.mark.parametrize("value", ["auto", []])
def test_neutral_values_of_an_unsupported_field_count_as_unset(value: object) -> None:
    kind: Kind = Unsupported("never.", neutral=("auto", []))
    assert kind.parse(value, "x") is None


def test_neutral_values_distinguish_false_from_zero() -> None:
    with pytest.raises(UnsupportedParameter):
        Unsupported("never.", neutral=(False,)).parse(0, "x")


@pytest.mark.parametrize("key", ["", "-1", "+1", "01", "1.0", "1e3", " 1", "a", "١", "1234567890"])
def test_a_token_id_has_only_one_spelling(key: str) -> None:
    with pytest.raises(InvalidParameter):
        TokenMap(Number(-1, 1), 2).parse({key: 1}, "bias")


def test_a_free_object_is_limited_in_size_and_depth() -> None:
    free = FreeObject(2, maximum_values=10, maximum_depth=4)
    assert free.parse({"a": [1, {"b": 2}]}, "x") == {"a": [1, {"b": 2}]}
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in ({"a": deep}, {"a": [0] * 11}, {"a": 1, "b": 2, "c": 3}, {"a": math.inf}, {"a": ["\ud800"]}):
        with pytest.raises(InvalidParameter):
            free.parse(value, "x")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
def test_each_kind_describes_itself_as_a_schema_and_in_words(kind: Kind) -> None:
    json.dumps(kind.schema(), allow_nan=False)
    assert str(kind)
    with pytest.raises(RequestError) as refused:
        kind.parse(object(), "x")
    assert str(kind) in refused.value.message or isinstance(kind, Unsupported)


@given(st.text())
def test_a_quotation_is_short_printable_and_encodable(text: str) -> None:
    quoted = abbreviate(text)
    assert len(quoted) <= 41
    assert quoted.isprintable()
    quoted.encode()


@given(json_values)
def test_a_description_is_short_whatever_the_value(value: object) -> None:
    assert len(describe(value)) < 70


def test_only_similar_names_are_suggested() -> None:
    assert nearest("temprature", ("temperature", "top_p")) == ' Did you mean "temperature"?'
    assert nearest("zzz", ("temperature", "top_p")) == ""
    assert nearest("t" * 10**6, ("temperature",)) == ""
    assert nearest(5, ("temperature",)) == ""
