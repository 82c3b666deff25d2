"""First candidates for an opening: other ends of what is in progress, and other variants of the open containers."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from oruel.constraints.completion.candidate import Candidate
from oruel.constraints.completion.lists import lists
from oruel.constraints.completion.node import Node, Nodes, Variant
from oruel.constraints.completion.numbers import number_ends
from oruel.constraints.completion.objects import Followers, free_keys, objects
from oruel.constraints.completion.opening import LITERALS, Next, Opening, Path, value_at, with_value
from oruel.constraints.completion.strings import string_ends
from oruel.constraints.completion.turns import in_turn
from oruel.constraints.completion.values import listed_values

# How many ends of a key or value in progress, and how many variants of each open container, are tried.
MAX_KEYS, MAX_ENDS, MAX_TURNS = 12, 24, 4


class Planner:
    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes

    def candidates(self, opening: Opening) -> Iterator[Candidate]:
        """One end after the other; for each, the first variant of each open container, then others."""
        if opening.next is Next.KEY:
            for other in islice(self._with_keys(opening), MAX_KEYS):
                yield from islice(self.candidates(other), MAX_TURNS)
            return
        for turned, turn in self._turns(opening):
            most = MAX_ENDS if turned < 0 else 1
            yield from islice(self._filled(opening, turned, turn), most)

    def node_at(self, root: Any, path: Path) -> Node:
        """The node of a value in a document, by the first variants that the document doesn't contradict."""
        node = self.nodes.node([self.nodes.root])
        value = root
        for key in path:
            variant = self.variant_of(node, value)
            if variant is None:
                return self.nodes.node([])
            node = child_of(variant, key)
            value = value[key] if has_entry(value, key) else None
        return node

    def variant_of(self, node: Node, written: Any, turn: int = 0) -> Variant | None:
        """The first one that fits, or the one `turn` places later; None if there is none."""
        return next(islice(node.variants_of(written), turn, None), None)

    def ends(self, opening: Opening, node: Node) -> Iterator[tuple[bytes, Any]]:
        """What may follow the value in progress, each with the whole value."""
        assert opening.begun is not None
        begun = opening.begun
        if opening.is_string:
            found = string_texts(node, begun)
            yield from ((end, json.loads(b'"' + begun + end)) for end in found)
        elif begun[:1].decode() in LITERALS:
            text, value = LITERALS[begun[:1].decode()]
            yield text[len(begun) :].encode(), value
        else:
            yield from ((end, json.loads(begun + end)) for end in number_texts(node, begun))

    def _turns(self, opening: Opening) -> Iterator[tuple[int, int]]:
        """Which frame takes another variant than the first, and which one; -1: none does."""
        yield -1, 0
        for turn in range(1, MAX_TURNS):
            yield from ((place, turn) for place in reversed(range(len(opening.frames))))

    def _filled(self, opening: Opening, turned: int, turn: int) -> Iterator[Candidate]:
        """With each end of what is in progress, all open containers filled up."""
        variants: list[Variant] = []
        node = self.nodes.node([self.nodes.root])
        for place, frame in enumerate(opening.frames):
            if place:
                node = child_of(variants[-1], frame.path[-1])
            variant = self.variant_of(node, value_at(opening.written, frame.path), turn if place == turned else 0)
            if variant is None and place == turned:
                return
            variants.append(variant or Variant(self.nodes, []))
        for candidate in self._begun(opening, variants):
            root = candidate.root
            for frame, variant in zip(reversed(opening.frames), reversed(variants), strict=True):
                root = with_value(root, frame.path, filled_up(variant, value_at(root, frame.path)))
            yield Candidate(opening, root, candidate.end)

    def _begun(self, opening: Opening, variants: list[Variant]) -> Iterator[Candidate]:
        """With the value in progress, or a first value."""
        if opening.next is not Next.VALUE:
            yield Candidate(opening, opening.written)
            return
        place = opening.place
        node = child_of(variants[-1], place[-1]) if place else self.nodes.node([self.nodes.root])
        if opening.begun is None:
            for value in islice(node.samples, MAX_ENDS):
                yield Candidate(opening, with_value(opening.written, place, value))
        else:
            for end, value in self.ends(opening, node):
                yield Candidate(opening, with_value(opening.written, place, value), end)

    def _with_keys(self, opening: Opening) -> Iterator[Opening]:
        """The opening with each key that may come next."""
        path = opening.frames[-1].path
        head = value_at(opening.written, path)
        seen = set[str]()
        for variant in islice(self.node_at(opening.written, path).variants_of(head), MAX_TURNS):
            for key, end in next_keys(variant, head, opening.begun):
                if key not in seen:
                    seen.add(key)
                    yield opening.with_key(key, opening.lead + end + b": ")


def next_keys(variant: Variant, head: dict[str, Any], begun: bytes | None) -> Iterator[tuple[str, bytes]]:
    """Keys that may follow those of `head` and that start with the text `begun`, each with the rest of its text."""
    allowed = Followers(variant, head)
    start = begun or b""
    for key in named_next(variant, head, allowed):
        text = json.dumps(key, ensure_ascii=False).encode()[1:]
        if text.startswith(start):
            yield key, text[len(start) :]
    if any(key in variant.required and key in allowed and key not in head for key in variant.named):
        return
    for key, end in free_next(variant, start):
        if key not in head and key not in variant.named:
            yield key, end


def named_next(variant: Variant, head: dict[str, Any], allowed: Followers) -> Iterator[str]:
    """Those that come before or are the next required key, that one first."""
    waiting = []
    for key in variant.named:
        if key in head or key not in allowed:
            continue
        if key in variant.required:
            yield key
            break
        waiting.append(key)
    yield from waiting


def free_next(variant: Variant, start: bytes) -> Iterator[tuple[str, bytes]]:
    nodes = variant.nodes
    if not start:
        for key in free_keys(variant):
            yield key, json.dumps(key, ensure_ascii=False).encode()[1:]
        return
    rules = nodes.node(list(variant.given("propertyNames")))
    patterns = [nodes.pattern_schema(pattern) for given in variant.given("patternProperties") for pattern in given]
    for node in [*(rules.also(shape) for shape in patterns), rules]:
        for end in islice(string_texts(node, start), MAX_KEYS):
            key = json.loads(b'"' + start + end)
            if next(iter(variant.child(key).samples), variant) is not variant:
                yield key, end


def string_texts(node: Node, begun: bytes) -> Iterator[bytes]:
    """The rests of strings of the node that begin with the text `begun`."""
    return unique(in_turn([string_texts_of(variant, begun) for variant in islice(node.variants, MAX_ENDS)]))


def string_texts_of(variant: Variant, begun: bytes) -> Iterator[bytes]:
    listed = listed_values(variant)
    if listed is not None:
        texts = (json.dumps(one, ensure_ascii=False).encode()[1:] for one in listed if isinstance(one, str))
        yield from (text[len(begun) :] for text in texts if text.startswith(begun))
    elif "string" in variant.types:
        yield from string_ends(variant, begun)


def number_texts(node: Node, begun: bytes) -> Iterator[bytes]:
    text = begun.decode()
    return unique(in_turn([number_texts_of(variant, text) for variant in islice(node.variants, MAX_ENDS)]))


def number_texts_of(variant: Variant, begun: str) -> Iterator[bytes]:
    listed = listed_values(variant)
    if listed is not None:
        texts = (json.dumps(one) for one in listed)
        yield from (text[len(begun) :].encode() for text in texts if text.startswith(begun))
    else:
        yield from map(str.encode, number_ends(variant, begun))


def unique(texts: Iterator[bytes]) -> Iterator[bytes]:
    seen = set[bytes]()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def filled_up(variant: Variant, head: Any) -> Any:
    """A container with its missing entries, if they are known."""
    found: Iterator[Any] = objects(variant, head) if isinstance(head, dict) else lists(variant, head)
    return next(found, head)


def child_of(variant: Variant, key: str | int) -> Node:
    return variant.child(key) if isinstance(key, str) else variant.item(key)


def has_entry(value: Any, key: str | int) -> bool:
    if isinstance(value, dict):
        return key in value
    return isinstance(value, list) and isinstance(key, int) and key < len(value)
