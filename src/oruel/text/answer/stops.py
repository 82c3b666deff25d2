"""Finds stop sequences in text that arrives in pieces. The match that ends first wins; among matches that end together,
the longest. Only text that could still become a stop sequence is held back.
"""


class StopScanner:
    """One Knuth-Morris-Pratt automaton per stop sequence. Stop sequences are not empty."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._borders = [_borders(stop) for stop in stops]
        self._lengths = [0] * len(stops)
        self._openings = frozenset(stop[0] for stop in stops)
        self._held = ""
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        """The text that can't belong to a stop sequence any more; empty after a match."""
        if self.matched is not None:
            return ""
        if not self._held and self._openings.isdisjoint(text):
            return text
        return self._scan(self._held + text, len(self._held))

    @property
    def held(self) -> int:
        """How many characters could still begin a stop sequence."""
        return len(self._held)

    def finish(self) -> str:
        """The held text, which is text after all if there was no match."""
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
        """Updates each automaton with the next character."""
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
