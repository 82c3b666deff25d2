"""The generated schemas of the benchmark: the same in every run, valid by their drafts, and each has a document."""

import json
from collections import Counter

import pytest
from jsonschema.validators import validator_for

from bench.schema_kinds import KINDS, keyword_counts, sample, schema_set
from bench.schema_verdict import format_checker, is_date, judge
from bench.schema_words import FORMATS, KEY_PATTERNS, LOOKAROUNDS, PATTERNS

EACH = 12
SAMPLES = schema_set(EACH)


def test_a_seed_gives_the_same_schemas_and_another_seed_others() -> None:
    assert schema_set(2) == SAMPLES[: 2 * len(KINDS)]
    assert schema_set(2, seed=1) != schema_set(2)
    assert sample("news", 3) in SAMPLES


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_valid_and_their_examples_fit(kind: str) -> None:
    for one in (sample(kind, place) for place in range(EACH)):
        draft = validator_for(one.schema)
        draft.check_schema(one.schema)
        verdict = judge(one.schema, json.dumps(one.example))
        assert verdict.is_valid, (one.name, verdict.broken, one.example)


def test_a_document_of_some_hundred_tokens_fits_each_schema() -> None:
    assert max(len(json.dumps(one.example)) for one in SAMPLES) < 800


def test_kinds_differ_in_size_as_the_public_sets_do() -> None:
    sizes = {
        kind: [len(json.dumps(one.schema)) for one in SAMPLES if one.name.startswith(f"{kind}-")] for kind in KINDS
    }
    medians = {kind: sorted(of)[len(of) // 2] for kind, of in sizes.items()}
    assert medians["trivial"] < medians["easy"] < medians["medium"] < medians["hard"] < medians["ultra"]
    assert max(sizes["ultra"]) > 20_000
    assert max(sizes["function"]) < 3_000


def test_every_keyword_that_is_hard_to_hold_stands_in_some_schema() -> None:
    counts = keyword_counts(SAMPLES)
    hard = "uniqueItems oneOf not if then else dependentRequired dependencies minProperties maxProperties"
    plain = "$ref definitions $defs pattern format enum const anyOf allOf patternProperties propertyNames self"
    missing = [keyword for keyword in f"{hard} {plain}".split() if keyword not in counts]
    assert not missing
    texts = [json.dumps(one.schema) for one in SAMPLES]
    assert sum("(?!" in text or "(?=" in text for text in texts) in range(2, len(texts) // 4)


def test_common_keywords_stand_in_more_schemas_than_rare_ones() -> None:
    counts = Counter(keyword_counts(SAMPLES))
    assert counts["properties"] > counts["enum"] > counts["oneOf"] > counts["if"] > counts["dependentRequired"] > 0


@pytest.mark.parametrize("texts", [PATTERNS, LOOKAROUNDS, KEY_PATTERNS])
def test_each_pattern_has_texts_that_match(texts: dict[str, tuple[str, ...]]) -> None:
    for pattern, matching in texts.items():
        assert all(judge({"pattern": pattern}, json.dumps(text)).is_valid for text in matching), pattern


def test_each_format_has_texts_that_fit_and_is_checked() -> None:
    for name, texts in FORMATS.items():
        assert all(judge({"format": name}, json.dumps(text)).is_valid for text in texts), name
        assert name in format_checker().checkers
        assert not judge({"format": name}, json.dumps("(é")).is_valid, name


def test_dates_are_those_of_rfc_3339() -> None:
    assert all(map(is_date, ["2026-11-28", "0000-01-01", "2024-02-29", "1999-12-31"]))
    assert not any(map(is_date, ["2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "26-01-01", "2026-1-1", ""]))


def test_a_verdict_names_the_way_to_the_keyword_that_is_broken() -> None:
    schema = {
        "properties": {"items": {"type": "integer"}},
        "if": {"required": ["a"]},
        "then": {"required": ["b"]},
    }
    assert judge(schema, '{"items": "x"}').broken == ("properties/type",)
    assert judge(schema, '{"a": 1}').broken == ("then/required",)
    assert judge(schema, '{"a": 1}').is_covered_by({"then"})
    assert not judge(schema, '{"a": 1, "items": "x"}').is_covered_by({"then", "else"})
    assert not judge(schema, '{"a": 1').is_json
