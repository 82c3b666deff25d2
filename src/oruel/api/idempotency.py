"""The Idempotency-Key header: recognises a repeated request, and sends the answer of the first one again."""

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response

from oruel.api.record import record_of
from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter
from oruel.ledger.base import EntryContext

HEADER = "idempotency-key"
MAX_CHARACTERS = 255
REPLAYED = {"x-oruel-replayed": "true"}
# Longer answers are not stored: a repeated request then gets 409, which says so.
MAX_STORED_BYTES = 2**20


def entry_context(request: Request, raw: bytes) -> EntryContext:
    """The context of this request for the ledger; also notes it in the request's record. Raises InvalidParameter."""
    record = record_of(request)
    key = idempotency_key(request)
    fingerprint = hashlib.sha256(request.url.path.encode() + b"\0" + raw).hexdigest() if key else ""
    record.entry = EntryContext(record.id, record.started, key, fingerprint)
    return record.entry


def idempotency_key(request: Request) -> str:
    """Empty without the header. Raises InvalidParameter."""
    sent = request.headers.getlist(HEADER)
    if not sent:
        return ""
    if len(sent) > 1 or not re.fullmatch(f"[ -~]{{1,{MAX_CHARACTERS}}}", sent[0]):
        given = f'is "{abbreviate(sent[0])}"' if len(sent) == 1 else f"was sent {len(sent)} times"
        raise InvalidParameter(
            f"The header Idempotency-Key must have 1 to {MAX_CHARACTERS} printable ASCII characters, but {given}.",
            param="Idempotency-Key",
        )
    return sent[0]


def replayed_answer(context: EntryContext) -> tuple[str, str] | None:
    """The stored answer of the first request with this key, and its media type."""
    return context.opened.replay if context.opened else None


def replay_response(replay: tuple[str, str], headers: dict[str, str]) -> Response:
    answer, media_type = replay
    return Response(answer, headers=headers | REPLAYED, media_type=media_type)


class AnswerKeeper:
    """Collects the body of a response, to be stored with its Idempotency-Key."""

    def __init__(self, context: EntryContext, media_type: str) -> None:
        self._context = context
        self._media_type = media_type
        self._parts: list[bytes] = []
        self._left = MAX_STORED_BYTES if context.idempotency_key else -1

    def add(self, part: bytes, *, last: bool) -> None:
        """With the `last` part, hands the answer to the ledger, unless it is too long."""
        if self._left < 0:
            return
        self._left -= len(part)
        self._parts.append(part)
        if self._left < 0:
            self._parts.clear()
        elif last:
            self._context.answer, self._context.media_type = b"".join(self._parts).decode(), self._media_type
