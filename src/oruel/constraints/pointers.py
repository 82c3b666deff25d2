"""References within a schema: what they refer to, and how deep they nest."""

from collections.abc import Mapping
from typing import Any

from oruel.constraints.keywords import Schema, inner_schemas
from oruel.errors import SchemaRefused

MOST_SUBSCHEMAS = 8_000


def resolve_pointer(schema: Schema, reference: str) -> Any:
    """What a reference by its place within the schema refers to, None for any other."""
    if not is_local(reference):
        return None
    found: Any = schema
    for part in reference[1:].split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = found.get(step) if isinstance(found, Mapping) else None
    return found


def is_local(reference: str) -> bool:
    return reference == "#" or reference.startswith("#/")


def depth_bound(schema: Any) -> int:
    """No less than the levels of subschemas that lie in each other, where each reference is followed once.

    Raises SchemaRefused for more than MOST_SUBSCHEMAS.
    """
    walked = Walk(schema)
    return walked.heights[0] + sum(map(walked.height_of, walked.references))


class Walk:
    """Through a schema and all that it refers to. `heights`: of the schema and of each that lies in it, how many
    levels of subschemas there are.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._has_names = False
        self._places: dict[int, int] = {}
        self.references: set[str] = set()
        self.heights: list[int] = []
        self._go([(root, -1)])

    def height_of(self, reference: str) -> int:
        """At most, where it isn't clear what is referred to."""
        place = None if self._has_names else self._places.get(id(resolve_pointer(self._root, reference)))
        return max(self.heights) if place is None else self.heights[place]

    def _go(self, waiting: list[tuple[Any, int]]) -> None:
        for place, (schema, above) in enumerate(waiting):
            self.heights.append(1)
            if isinstance(schema, Mapping):
                self._places[id(schema)] = place
                self._has_names |= above >= 0 and isinstance(schema.get("$id"), str)
                waiting += [(inner, place) for inner in inner_schemas(schema) if inner is not None]
                waiting += self._referred(schema)
            if len(waiting) > MOST_SUBSCHEMAS:
                raise SchemaRefused(f"it has more than {MOST_SUBSCHEMAS:,} subschemas: use fewer")
        for place in range(len(waiting) - 1, 0, -1):
            above = waiting[place][1]
            if above >= 0:
                self.heights[above] = max(self.heights[above], self.heights[place] + 1)

    def _referred(self, schema: Schema) -> list[tuple[Any, int]]:
        """What it is the first to refer to, where that isn't walked through already."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or reference in self.references:
            return []
        self.references.add(reference)
        target = resolve_pointer(self._root, reference)
        return [(target, -1)] if isinstance(target, Mapping) and id(target) not in self._places else []
