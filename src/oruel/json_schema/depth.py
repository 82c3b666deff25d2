"""How deep the subschemas of a schema nest, with its references followed."""

from collections.abc import Mapping
from typing import Any

from oruel.errors import SchemaRefused
from oruel.json_schema.keywords import Schema, inner_schemas
from oruel.json_schema.references import MOST_SUBSCHEMAS, resolve_pointer


def depth_bound(schema: Any) -> int:
    """An upper bound of the levels of subschemas, where each reference is followed once. References have to be plain.

    Raises SchemaRefused for more than MOST_SUBSCHEMAS.
    """
    walked = Walk(schema)
    return walked.heights[0] + sum(map(walked.height_of, walked.references))


class Walk:
    """Visits a schema and everything that it refers to. `heights`: for each schema visited, the levels of subschemas in
    it.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._places: dict[int, int] = {}
        self.references: set[str] = set()
        self.heights: list[int] = []
        self._go([(root, -1)])

    def height_of(self, reference: str) -> int:
        """The greatest height of all for a target outside of subschemas."""
        place = self._places.get(id(resolve_pointer(self._root, reference)))
        return max(self.heights) if place is None else self.heights[place]

    def _go(self, waiting: list[tuple[Any, int]]) -> None:
        for place, (schema, _) in enumerate(waiting):
            self.heights.append(1)
            if isinstance(schema, Mapping):
                self._places[id(schema)] = place
                waiting += [(inner, place) for inner in inner_schemas(schema)]
                waiting += self._referred(schema)
            if len(waiting) > MOST_SUBSCHEMAS:
                raise SchemaRefused(f"it has more than {MOST_SUBSCHEMAS:,} subschemas: use fewer")
        for place in range(len(waiting) - 1, 0, -1):
            above = waiting[place][1]
            if above >= 0:
                self.heights[above] = max(self.heights[above], self.heights[place] + 1)

    def _referred(self, schema: Schema) -> list[tuple[Any, int]]:
        """The target of a reference that wasn't followed before, unless it has been visited already."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or reference in self.references:
            return []
        self.references.add(reference)
        target = resolve_pointer(self._root, reference)
        return [(target, -1)] if isinstance(target, Mapping) and id(target) not in self._places else []
