"""Removes undeclared fields from a body, for operators whose clients send such fields."""

from oruel.contract.kinds import Array, Kind, Object, StringOrArray, TaggedUnion, abbreviate


def without_unknown(kind: Kind, value: object, path: str = "") -> tuple[object, tuple[str, ...]]:
    """Returns `value` without the fields that `kind` does not declare, and the paths of those fields."""
    match kind, value:
        case Object(fields=fields), dict():
            prefix = f"{path}." if path else ""
            kept = {name: without_unknown(fields[name], value[name], prefix + name) for name in value if name in fields}
            unknown = [prefix + abbreviate(name) for name in value if name not in fields]
            return (
                {name: item for name, (item, _) in kept.items()},
                (*unknown, *(inner for _, names in kept.values() for inner in names)),
            )
        case ((Array(item=item) | StringOrArray(many=Array(item=item))), list()):
            parts = [without_unknown(item, element, f"{path}[{index}]") for index, element in enumerate(value)]
            return [element for element, _ in parts], tuple(inner for _, names in parts for inner in names)
        case TaggedUnion(tag=tag, kinds=kinds), dict() if isinstance(value.get(tag), str) and value[tag] in kinds:
            return without_unknown(kinds[value[tag]], value, path)
        case _:
            return value, ()
