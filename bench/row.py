"""One line of the table: a quantity of two systems, measured in the same rounds."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.pairs import Ratio, ratio


@dataclass(frozen=True, slots=True)
class Row:
    """`ours` and `theirs` hold one value per round. `target` is the least factor by which ours should be better."""

    name: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float]
    larger_is_better: bool = False
    target: float | None = None

    @property
    def times_better(self) -> Ratio:
        return ratio(self.ours, self.theirs) if self.larger_is_better else ratio(self.theirs, self.ours)

    @property
    def is_missed(self) -> bool:
        """Whether the whole interval lies below the target."""
        return self.target is not None and self.times_better.high < self.target
