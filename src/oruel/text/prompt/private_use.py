"""Distinguishes special texts that a template writes from the same characters in a message.

Before compiling, each special text in the template's constants becomes one private-use character, its mark; marks in
messages are escaped before rendering. So whatever the template cuts, trims or joins, every mark comes from the
template.
"""

import re
from collections.abc import Collection, Iterator
from typing import cast

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from oruel.text.matching import alternatives, occurrences

ESCAPE = "\U000f0000"
GUARD = "\U000f0001"
FIRST_MARK = 0xF0002
HEXADECIMAL = 5

# Methods that search a text for their first argument. In a message's text they have to find what was really written.
SEARCHES = frozenset(
    {"count", "endswith", "find", "index", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind"}
    | {"rindex", "rpartition", "rsplit", "rstrip", "split", "startswith", "strip"}
)


class PrivateUseMarks:
    """`texts`: those of the given special texts that `source` contains. Each has its mark."""

    def __init__(self, texts: Collection[str], source: str) -> None:
        found = {text for text, _ in occurrences(alternatives(texts), source)}
        used = sorted(found)
        self.texts = frozenset(used)
        self._marks = {text: chr(FIRST_MARK + index) for index, text in enumerate(used)}
        self._text_of = {mark: text for text, mark in self._marks.items()}
        self._pattern = alternatives(used)
        last = chr(FIRST_MARK + len(used))
        self._reserved = re.compile(f"[{ESCAPE}-{last}]")
        self._coded = re.compile(f"{GUARD}|{ESCAPE}([0-9a-f]{{{HEXADECIMAL}}})?")
        self._boundary = re.compile(f"([{chr(FIRST_MARK)}-{last}])")

    def mark(self, text: str) -> str:
        return self._pattern.sub(lambda match: self._marks[match[0]], text)

    def escape(self, text: str) -> str:
        """A message's text without characters that are marks."""
        return self._reserved.sub(lambda match: f"{ESCAPE}{ord(match[0]):0{HEXADECIMAL}x}", text)

    def segments(self, rendered: str) -> Iterator[tuple[str, bool]]:
        """The rendered text in order: special texts of the template (True), and other text (False), still escaped."""
        for index, part in enumerate(self._boundary.split(rendered)):
            if index % 2:
                yield self._text_of[part], True
            elif part:
                yield part, False

    def unescape(self, text: str) -> str:
        """Reverses `escape` and drops guards."""
        return self._coded.sub(lambda match: chr(int(match[1], 16)) if match[1] else "", text)

    def transform(self, template: nodes.Template) -> nodes.Template:
        return cast(nodes.Template, _Marking(self).visit(template))


class _Marking(NodeTransformer):
    """Marks constants that may be written. Constants that are compared or searched for keep their characters."""

    def __init__(self, markup: PrivateUseMarks) -> None:
        self._markup = markup

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802  (jinja2's naming)
        node.data = self._markup.mark(node.data)
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802
        if isinstance(node.value, str):
            node.value = self._markup.mark(node.value)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        if isinstance(node.node, nodes.Getattr) and node.node.attr in SEARCHES:
            return self._visit_search(node)
        return self.generic_visit(node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        return self._visit_search(node) if node.name == "replace" else self.generic_visit(node)

    def _visit_search(self, node: nodes.Call | nodes.Filter) -> nodes.Node:
        wanted, node.args = node.args[:1], node.args[1:]
        self.generic_visit(node)
        node.args = wanted + node.args
        return node
