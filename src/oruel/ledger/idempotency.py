"""Idempotency-Key: the answer of an earlier request with the same key and body within a day is sent again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, tuple_, update

from oruel.errors import IdempotencyConflict
from oruel.ledger.entries import Opened, Opening, Settlement
from oruel.ledger.tables import idempotency, requests

LIFETIME = 24 * 3600 * 10**6
"""In microseconds."""

Owner = tuple[str, str]
"""An account and one of its Idempotency-Keys."""


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """`is_open`: it is still being answered. `answer` is None if it wasn't stored."""

    fingerprint: str
    is_open: bool = True
    answer: str | None = None
    media_type: str | None = None

    def outcome_of(self, opening: Opening) -> Opened:
        if self.fingerprint != opening.fingerprint:
            return conflict("was sent with another request less than 24 hours ago. Send a new key")
        if self.is_open:
            return conflict("belongs to a request that is still being answered. Try again when it has ended")
        if self.answer is None or self.media_type is None:
            return conflict("belongs to a request whose answer is too long to be sent again. Send a new key")
        return Opened(replay=(self.answer, self.media_type))


def conflict(message: str) -> Opened:
    return Opened(IdempotencyConflict(f"This Idempotency-Key {message}.", param="Idempotency-Key"))


def owner_of(opening: Opening) -> Owner:
    return opening.account, opening.idempotency_key


def earlier_requests(connection: Connection, openings: Sequence[Opening], now: int) -> dict[Owner, EarlierRequest]:
    """The earlier requests with the Idempotency-Keys of `openings`. Forgets expired ones. `now` is in microseconds."""
    owners = {owner_of(opening) for opening in openings if opening.idempotency_key}
    if not owners:
        return {}
    forget_expired(connection, now)
    query = (
        select(idempotency, requests.c.status)
        .join(requests, idempotency.c.request == requests.c.id)
        .where(tuple_(idempotency.c.owner, idempotency.c.key).in_(owners))
    )
    return {
        (row.owner, row.key): EarlierRequest(row.fingerprint, row.status is None, row.answer, row.media_type)
        for row in connection.execute(query)
    }


def forget_expired(connection: Connection, now: int) -> None:
    """Removes what is older than a day, with the stored answers. `now` is in microseconds."""
    connection.execute(delete(idempotency).where(idempotency.c.created <= now - LIFETIME))


def remember(connection: Connection, openings: Iterable[Opening], now: int) -> None:
    rows = [
        {
            "owner": opening.account,
            "key": opening.idempotency_key,
            "fingerprint": opening.fingerprint,
            "request": opening.id,
            "created": now,
        }
        for opening in openings
        if opening.idempotency_key
    ]
    if rows:
        connection.execute(insert(idempotency), rows)


def keep_answers(connection: Connection, settlements: Iterable[Settlement]) -> None:
    """Stores the answers of finished requests. Forgets the others, so that they can be sent again."""
    keyed = [settlement for settlement in settlements if settlement.opening.idempotency_key]
    answered = [
        {"request_": one.opening.id, "answer": one.answer, "media_type": one.media_type}
        for one in keyed
        if one.status == "finished"
    ]
    if answered:
        kept = update(idempotency).where(idempotency.c.request == bindparam("request_"))
        connection.execute(kept.values(answer=bindparam("answer"), media_type=bindparam("media_type")), answered)
    if failed := [one.opening.id for one in keyed if one.status != "finished"]:
        forget(connection, failed)


def forget(connection: Connection, ids: Iterable[str]) -> None:
    """Forgets the Idempotency-Keys of the requests with these ids."""
    connection.execute(delete(idempotency).where(idempotency.c.request.in_(list(ids))))
