"""Signatures such as `Event(name=str, guests=list[str])` and the JSON Schemas that pydantic writes for such classes.

Types are `str`, `int`, `float`, `bool`, `list[...]`, `Literal[...]`, `... | None` and classes with their fields.
"""

import ast
from dataclasses import dataclass
from typing import Any

TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


@dataclass(frozen=True)
class Signature:
    """The name of a class or function, and its fields with their types, as JSON Schemas without titles."""

    name: str
    fields: dict[str, dict[str, Any]]

    @property
    def schema(self) -> dict[str, Any]:
        return object_schema(self.fields)


def object_schema(fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An object with exactly these fields."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def parse_signature(text: str) -> Signature:
    call = ast.parse(text.strip(), mode="eval").body
    assert isinstance(call, ast.Call)
    return Signature(ast.unparse(call.func), parse_fields(call))


def parse_fields(call: ast.Call) -> dict[str, dict[str, Any]]:
    return {str(keyword.arg): parse_type(keyword.value) for keyword in call.keywords}


def parse_type(node: ast.expr) -> dict[str, Any]:
    if isinstance(node, ast.Call):
        return object_schema(parse_fields(node))
    if isinstance(node, ast.BinOp):
        return {"anyOf": [parse_type(node.left), {"type": "null"}]}
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "list":
        return {"type": "array", "items": parse_type(node.slice)}
    if isinstance(node, ast.Subscript):
        return {"type": "string", "enum": list(ast.literal_eval(node.slice))}
    return {"type": TYPES[ast.unparse(node)]}


def keys_of(schema: dict[str, Any]) -> frozenset[str]:
    """The keys of an object that fits the schema, and of the objects in it."""
    inner = [keys_of(each) for each in schema.get("properties", {}).values()]
    inner += [keys_of(schema["items"])] if "items" in schema else []
    return frozenset(schema.get("properties", {})).union(*inner)


def keys_of_document(document: Any) -> frozenset[str]:
    """The keys of a document and of the objects in it."""
    if isinstance(document, list):
        return frozenset().union(*map(keys_of_document, document))
    if not isinstance(document, dict):
        return frozenset()
    return frozenset(document).union(*map(keys_of_document, document.values()))
