"""Finds stop sequences in text that arrives in pieces. Scanning characters, the match that ends first wins; among those
ending together, the longest. What could still become a stop is held back, and nothing more.
"""


class StopScanner:
    """One Knuth-Morris-Pratt automaton per stop; each stop has at least one character."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._borders = [_borders(stop) for stop in stops]
        self._lengths = [0] * len(stops)
        self._openings = frozenset(stop[0] for stop in stops)
        self._held = ""
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        """The text that is now known not to belong to a stop; nothing after a match."""
        if self.matched is not None:
            return ""
        if not self._held and self._openings.isdisjoint(text):
            return text
        return self._scan(self._held + text, len(self._held))

    @property
    def held(self) -> int:
        """How many characters could still begin a stop."""
        return len(self._held)

    def finish(self) -> str:
        """What was held, which is text after all when there was no match."""
        held, self._held = self._held, ""
        return held

    def _scan(self, text: str, start: int) -> str:
        for position in range(start, len(text)):
            self._advance(text[position])
            if self.matched is not None:
                self._held = ""
                return text[: position + 1 - len(self.matched)]
        kept = len(text) - max(self._lengths)
        self._held = text[kept:]
        return text[:kept]

    def _advance(self, character: str) -> None:
        """Bring each automaton to the length of its stop that the text now ends with."""
        for index, stop in enumerate(self._stops):
            length, borders = self._lengths[index], self._borders[index]
            while length and stop[length] != character:
                length = borders[length - 1]
            length += stop[length] == character
            self._lengths[index] = length
            if length == len(stop) and len(stop) > len(self.matched or ""):
                self.matched = stop


def _borders(stop: str) -> list[int]:
    """For each prefix, the length of its longest proper prefix that is also its suffix."""
    borders = [0] * len(stop)
    length = 0
    for position in range(1, len(stop)):
        while length and stop[length] != stop[position]:
            length = borders[length - 1]
        length += stop[length] == stop[position]
        borders[position] = length
    return borders
