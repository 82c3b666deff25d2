"""The tokens that a run may spend."""

from dataclasses import dataclass

from oruel.errors import BudgetSpent


@dataclass
class Budget:
    """`limit` is in tokens, prompt and completion together; None means no limit."""

    limit: int | None = None
    spent: int = 0
    requests: int = 0

    def require(self) -> None:
        """Raises BudgetSpent before a request if nothing is left."""
        if self.limit is not None and self.spent >= self.limit:
            raise BudgetSpent(f"The budget of {self.limit:,} tokens is spent.")

    def add(self, tokens: int) -> None:
        self.spent += tokens
        self.requests += 1
