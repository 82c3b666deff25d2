"""Texts that complete a partial document so that the whole is valid."""

import json
from collections.abc import Iterator

from oruel.constraints.completion.candidate import Candidate
from oruel.constraints.completion.in_place import check_in_place
from oruel.constraints.completion.node import MAX_EXPANSIONS, Nodes
from oruel.constraints.completion.opening import Next, read_opening
from oruel.constraints.completion.planner import Planner
from oruel.constraints.completion.repair import Repair
from oruel.constraints.completion.search import Search
from oruel.constraints.completion.validator import Validator
from oruel.constraints.completion.values import values
from oruel.json_schema.keywords import Schema, subschemas
from oruel.json_schema.references import plain_references


class DocumentCompletions:
    """Raises SchemaRefused for what is no JSON Schema, or can't be judged in bounded time."""

    def __init__(self, schema: Schema) -> None:
        plain = plain_references(schema)
        check_in_place(plain, subschemas(plain))
        self._validator = Validator(plain)
        self._nodes = Nodes(self._validator.schema, values)
        self._planner = Planner(self._nodes)
        self._repair = Repair(self._planner, self._validator)

    @property
    def left_out(self) -> set[str]:
        """Keywords with values that can't be read, which are not checked."""
        return self._validator.left_out

    def is_valid(self, text: bytes | str) -> bool:
        try:
            return self._validator.is_valid(json.loads(text))
        except (ValueError, RecursionError):
            return False

    def after(self, prefix: bytes) -> Iterator[bytes | None]:
        """What makes a valid document of `prefix`, a beginning in the form of json.dumps: short texts first, roughly.
        None after each step of some tenths of a millisecond without a result. Ends when nothing more is known.
        """
        try:
            opening = read_opening(prefix)
        except (ValueError, RecursionError):
            return
        self._nodes.expansions_left = MAX_EXPANSIONS
        if opening.next is Next.END:
            yield b"" if self.is_valid(prefix) else None
            return
        for found in Search(opening, len(prefix), self._planner.candidates(opening), self._repair, self._validator):
            yield self._checked(prefix, found) if found is not None else None

    def _checked(self, prefix: bytes, found: Candidate) -> bytes | None:
        """The candidate's text, if what is read back from it is valid as well."""
        text = found.text()
        return text if self.is_valid(prefix + text) else None
