"""A schema that is cut out of another takes what it refers to along."""

from typing import Any

from oruel.constraints.schema import unenforceable_keywords
from oruel.json_schema.extract import self_contained


def test_what_is_cut_out_refers_to_itself_whatever_it_was_called() -> None:
    root: dict[str, Any] = {
        "$id": "the whole",
        "$defs": {"node": {"$id": "https://example.com/n", "type": "array", "items": {"$ref": "#/$defs/leaf"}},
                  "leaf": {"const": {"$id": "kept"}}},
        "properties": {"a": {"$id": "anyOf with refs", "anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    }  # fmt: skip
    found = self_contained(root["properties"]["a"], root)
    assert unenforceable_keywords(found) == ()
    assert "$id" not in found
    assert {"const": {"$id": "kept"}} in found["$defs"].values()


def test_an_argument_may_be_called_id() -> None:
    schema = {"type": "object", "properties": {"$id": {"type": "integer"}}}
    assert self_contained(schema, schema) == schema
