"""Classes and functions that the corpus never contains, each with a question and the values that it asks for."""

import json
from dataclasses import dataclass
from typing import Any

from training import texts
from training.signatures import Signature, keys_of, parse_signature


@dataclass(frozen=True)
class HeldOut:
    """`description` is that of a function. `answer` are the fields of the document or the arguments of the call."""

    signature: Signature
    description: str
    question: str
    answer: dict[str, Any]

    @property
    def declared(self) -> dict[str, Any]:
        return {"name": self.signature.name, "description": self.description, "parameters": self.signature.schema}


def read(name: str) -> list[HeldOut]:
    held_out = []
    for heading, body in texts.sections(name).items():
        signature, _, description = heading.partition(" : ")
        question, answer = body.splitlines()
        held_out.append(HeldOut(parse_signature(signature), description, question, json.loads(answer)))
    return held_out


CLASSES = read("held_out_classes")
FUNCTIONS = read("held_out_functions")
NAMES = {each.signature.name.lower() for each in CLASSES + FUNCTIONS}
KEYS = {keys for each in CLASSES + FUNCTIONS if len(keys := keys_of(each.signature.schema)) > 1}


def is_held_out_form(name: str, schema: dict[str, Any]) -> bool:
    """Whether a class or function has the name of a held-out one, or exactly its keys."""
    return name.lower() in NAMES or keys_of(schema) in KEYS
