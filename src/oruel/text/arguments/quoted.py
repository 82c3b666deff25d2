"""Arguments in another quoting than JSON's: how a family writes them, and what of that says which JSON value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

WORDS = {"true": "true", "false": "false", "null": "null"}
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


@dataclass(frozen=True, slots=True)
class QuotedSyntax:
    """(key assign value comma …) for the arguments, with `nested` for assign inside objects, whose keys are strings
    where it `quotes_keys`. Strings without escapes stand between two of `quote`; where that is "", they are as in JSON,
    or between apostrophes. `words` are those for JSON's, of which all may be written. `sorts`: properties come in the
    order of their names.
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
