"""What an API key allows: each term is declared once, for the command line, the API and its documentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oruel.contract.kinds import Array, Integer, Kind, StringEnum
from oruel.ledger.amount import Amount
from oruel.ledger.caller import Scope
from oruel.ledger.moments import Moment
from oruel.ledger.printable import Printable
from oruel.types import TIERS, Tier

SCOPES: tuple[Scope, ...] = ("inference", "admin")


@dataclass(frozen=True)
class Term:
    """The declaration of one field of KeyTerms."""

    kind: Kind
    summary: str


TERMS: Mapping[str, Term] = {
    "name": Term(Printable(), "What the key is for."),
    "scopes": Term(
        Array(StringEnum(SCOPES), 1, len(SCOPES)),
        "What the key may do: inference, admin or both. Only inference unless given.",
    ),
    "expires": Term(Moment(), f"When the key stops working: {Moment()}."),
    "models": Term(Array(Printable(), 1, 64), "The models that the key may use, by their own names. All unless given."),
    "tiers": Term(Array(StringEnum(TIERS), 1, len(TIERS)), "The tiers that the key may use. All unless given."),
    "day_limit": Term(Amount(), "How many USD the key may spend on one day, in UTC."),
    "month_limit": Term(Amount(), "How many USD the key may spend in one calendar month, in UTC."),
    "requests_per_minute": Term(Integer(1, 10**9), "How many requests the key may send a minute."),
    "tokens_per_minute": Term(
        Integer(1, 10**12), "How many tokens, of prompts and answers, the key may request a minute."
    ),
    "concurrent_requests": Term(Integer(1, 10**6), "How many requests of the key may run at once."),
}


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """None: no limit. `expires` is in microseconds since the epoch; spending limits are in units of 10⁻¹² USD."""

    name: str = ""
    scopes: tuple[Scope, ...] = ("inference",)
    expires: int | None = None
    models: tuple[str, ...] | None = None
    tiers: tuple[Tier, ...] | None = None
    day_limit: int | None = None
    month_limit: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None


def key_terms(given: Mapping[str, Any]) -> KeyTerms:
    """`given` holds parsed values. What appears twice in a list counts once."""
    values: dict[str, Any] = {
        name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value for name, value in given.items()
    }
    return KeyTerms(**values)
