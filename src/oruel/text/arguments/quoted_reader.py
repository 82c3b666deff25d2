"""Parses arguments in a quoted syntax as they arrive, and returns them as JSON."""

import json
import re

from oruel.text.arguments.quoted import QuotedSyntax

WORD = re.compile(r"""[^\s,:=\[\]{}()<>'"]+(?=[\s,:=\[\]{}()<>'"])""")
PLAIN = {'"': re.compile(r'(?:[^"\\]|\\.)+', re.DOTALL), "'": re.compile(r"[^'\\]+")}


class QuotedReader:
    """Is fed the text from the beginning of the arguments. `is_complete` once the bracket follows that ends them."""

    def __init__(self, spelling: QuotedSyntax) -> None:
        self._spelling = spelling
        self._quotes = [spelling.quote] if spelling.quote else ['"', "'"]
        self._quote = ""  # quote of the current string
        self._depth = 0
        self._is_open = False
        self.is_complete = False

    def take(self, text: str) -> tuple[int, str] | None:
        """The number of characters consumed, and their JSON; None if more text is needed."""
        if not self._is_open:
            self._is_open = True
            return 0, "{"
        return self._in_string(text) if self._quote else self._outside(text)

    def _outside(self, text: str) -> tuple[int, str] | None:
        opened = next((quote for quote in self._quotes if text.startswith(quote)), None)
        if opened:
            self._quote = opened
            return len(opened), '"'
        if any(quote.startswith(text) for quote in self._quotes):
            return None
        if text[0] in "[{":
            self._depth += 1
            return 1, text[0]
        if text[0] in ")}]":
            return self._closed(text[0])
        if text[0] in ",:":
            return 1, f"{text[0]} "
        if text[0].isspace():
            return 1, ""
        return self._word(text)

    def _closed(self, bracket: str) -> tuple[int, str]:
        if self._depth:
            self._depth -= 1
            return 1, bracket
        self.is_complete = True
        return 0, "}"

    def _word(self, text: str) -> tuple[int, str] | None:
        """A key, if the separator of keys and values follows; otherwise a number or one of the words."""
        found = WORD.match(text)
        if not found:
            return None
        if text[found.end()] in "=:":
            return found.end() + 1, f"{json.dumps(found[0], ensure_ascii=False)}: "
        return found.end(), self._spelling.words.get(found[0], found[0])

    def _in_string(self, text: str) -> tuple[int, str] | None:
        if text.startswith(self._quote):
            length, self._quote = len(self._quote), ""
            return length, '"'
        if self._spelling.quote:
            return self._raw(text)
        if self._quote == "'" and text[0] == "\\":
            return self._escape(text)
        found = PLAIN[self._quote].match(text)
        if not found:
            return None
        return found.end(), found[0] if self._quote == '"' else escape_json(found[0])

    def _escape(self, text: str) -> tuple[int, str] | None:
        """An escape between apostrophes. JSON has all of them except that of the apostrophe."""
        if len(text) < 2:
            return None
        return 2, "'" if text[1] == "'" else text[:2]

    def _raw(self, text: str) -> tuple[int, str] | None:
        end = text.find(self._quote)
        if end < 0:
            end = len(text) - next((n for n in range(len(self._quote) - 1, 0, -1) if text.endswith(self._quote[:n])), 0)
        return (end, escape_json(text[:end])) if end else None


def escape_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
