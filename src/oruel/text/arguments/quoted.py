"""Arguments in another quoting than JSON's: the syntax of a family, and how its words map to JSON values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

WORDS = {"true": "true", "false": "false", "null": "null"}
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


@dataclass(frozen=True, slots=True)
class QuotedSyntax:
    """(key assign value comma …). Inside objects, `nested` takes the place of `assign`, and keys are strings if
    `quotes_keys` is set. Strings are written without escapes between two `quote` texts; if `quote` is empty, they are
    written as in JSON or between apostrophes. `words` maps JSON's words to those of the syntax. `sorts`: properties are
    in order of their names.
    """

    assign: str
    nested: str
    comma: str
    quote: str = ""
    quotes_keys: bool = True
    sorts: bool = False
    words: Mapping[str, str] = field(default_factory=lambda: PYTHON_WORDS | WORDS)


PYTHON = QuotedSyntax("=", ": ", ", ")
GEMMA = QuotedSyntax(":", ":", ",", '<|"|>', quotes_keys=False, sorts=True, words=WORDS | {"None": "null"})
