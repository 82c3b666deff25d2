"""How streamed calls are joined, and what is wrong with pieces that clients can't join."""

from typing import Any

import pytest

from oruel.verify.checks.tools import SCHEMAS, join
from oruel.verify.reply import Json


def piece(index: int | None, arguments: str = "", name: str | None = None, id: str | None = None) -> Json:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return {"function": function, **({"index": index} if index is not None else {}), **({"id": id} if id else {})}


def test_pieces_of_several_calls_are_joined_by_index() -> None:
    calls: dict[int, Json] = {}
    pieces = [piece(0, "", "f", "1"), piece(1, "{", "g", "2"), piece(0, "{}"), piece(1, "}")]
    assert [join(calls, one) for one in pieces] == [None] * 4
    assert calls == {0: {"name": "f", "arguments": "{}"}, 1: {"name": "g", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("pieces", "how"),
    [
        ([piece(None, "", "f", "1")], "a piece of a call has no index"),
        ([piece(0, "", "f")], "the first piece of a call lacks its id or name"),
        ([piece(0, "", None, "1")], "the first piece of a call lacks its id or name"),
        ([piece(0, "", "f", "1"), piece(0, "{}", "f")], "the name is sent more than once"),
    ],
)
def test_pieces_that_can_t_be_joined_are_named(pieces: list[Json], how: str) -> None:
    calls: dict[int, Json] = {}
    assert [join(calls, one) for one in pieces][-1] == how


@pytest.mark.parametrize("schema", SCHEMAS.values())
def test_strict_schemas_require_everything_and_allow_nothing_else(schema: dict[str, Any]) -> None:
    assert schema["required"] == list(schema["properties"])
    assert schema["additionalProperties"] is False
