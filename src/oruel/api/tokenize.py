"""POST /tokenize: the token ids of a text, or of the prompt made from messages, with the text of each token."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.body import is_small, parse_object, read_body
from oruel.api.chat.body import FIELDS, check_template_kwargs
from oruel.api.connection import while_connected
from oruel.api.record import record_of
from oruel.api.services import Endpoint, Services
from oruel.contract.kinds import Object, String
from oruel.errors import InvalidParameter, UnsupportedParameter
from oruel.jobs.base import Tokenizers
from oruel.router.catalog import Catalog, ModelCard
from oruel.text.tokenizer import Tokenizer
from oruel.types import Message

# As JSON, the answer is about fifty times as large as the token ids.
MAX_TOKENS = 2**18

TOKENIZE_BODY = Object(
    {
        "model": FIELDS["model"],
        "text": String(),
        "messages": FIELDS["messages"],
        "chat_template_kwargs": FIELDS["chat_template_kwargs"],
    }
)


class TokenizeCall(msgspec.Struct, frozen=True):
    """A validated body. Either `text` or `messages` is set, not both."""

    model: str | None = None
    text: str | None = None
    messages: tuple[Message, ...] | None = None
    chat_template_kwargs: Mapping[str, Any] = {}

    @property
    def field(self) -> str:
        return "messages" if self.text is None else "text"


class TokenizeWork(msgspec.Struct, frozen=True):
    """`tokenizer`: the name of the tokenizer in the jobs. `model`: the model's name in the answer."""

    tokenizer: str
    model: str
    call: TokenizeCall


class Token(msgspec.Struct):
    """`text`: the bytes as text, or the name of a control token, which has no bytes."""

    id: int
    text: str
    bytes: list[int]


class TokenizeAnswer(msgspec.Struct):
    model: str
    count: int
    tokens: list[Token]


def tokenize_endpoint(services: Services) -> Endpoint:
    async def tokenize(request: Request) -> Response:
        raw = await read_body(request, services.max_body_bytes)
        return await while_connected(request.receive, tokenize_body(request, raw, services))

    return tokenize


async def tokenize_body(request: Request, raw: bytes, services: Services) -> Response:
    record = record_of(request)
    record.caller.require_scope("inference")
    call = await parse_call(raw, record.account, services)
    card = chosen_model(call.model, services.catalog)
    record.caller.require_model(card.name)
    record.model = card.name
    check_template_kwargs(call.chat_template_kwargs, card)
    if card.name not in services.tokenizers:
        raise UnsupportedParameter(
            f"{card.name} runs on an upstream server, so its tokenizer is not available here. Send a local model.",
            param="model",
        )
    work = TokenizeWork(services.tokenizers[card.name], card.name, call)
    content = await services.jobs.run(tokenize_aside, work, kind="tokenize", account=record.account, param=call.field)
    return Response(content, media_type="application/json")


async def parse_call(raw: bytes, account: str, services: Services) -> TokenizeCall:
    if is_small(raw):
        return parse_tokenize(raw)
    return await services.jobs.run(parse_tokenize_aside, raw, kind="body", account=account)


def parse_tokenize_aside(tokenizers: Tokenizers, raw: bytes) -> TokenizeCall:
    return parse_tokenize(raw)


def parse_tokenize(raw: bytes) -> TokenizeCall:
    """Raises RequestError."""
    given = TOKENIZE_BODY.parse(parse_object(raw), "")
    check_tokenize_fields(given)
    return TokenizeCall(**given)


def check_tokenize_fields(given: dict[str, Any]) -> None:
    if ("text" in given) == ("messages" in given):
        raise InvalidParameter("Send either text or messages, and not both.", param="text")
    if "chat_template_kwargs" in given and "messages" not in given:
        raise InvalidParameter(
            "chat_template_kwargs requires messages. Send messages, or leave it out.", param="chat_template_kwargs"
        )


def chosen_model(name: str | None, catalog: Catalog) -> ModelCard:
    """The model of this name. If there is only one, the name may be left out."""
    if name is not None:
        return catalog.resolve(name)
    if len(catalog.cards) > 1:
        raise InvalidParameter(
            "model is required, because this server has several models. GET /v1/models lists them.", param="model"
        )
    return catalog.cards[0]


def tokenize_aside(tokenizers: Tokenizers, work: TokenizeWork) -> bytes:
    """Returns a TokenizeAnswer as JSON. Raises InvalidParameter."""
    call, tokenizer = work.call, tokenizers[work.tokenizer]
    check_count(size_of(call) // tokenizer.longest_piece, call.field, "at least ")
    if call.text is not None:
        ids = tokenizer.encode_text(call.text)
    else:
        ids = tokenizer.encode_messages(call.messages or (), call.chat_template_kwargs)
    check_count(len(ids), call.field)
    return msgspec.json.encode(TokenizeAnswer(work.model, len(ids), [token(id, tokenizer) for id in ids]))


def size_of(call: TokenizeCall) -> int:
    """The size of the text or messages in bytes of UTF-8."""
    texts = [call.text or "", *(message.content for message in call.messages or ())]
    return sum(len(text.encode()) for text in texts)


def check_count(tokens: int, field: str, accuracy: str = "") -> None:
    if tokens > MAX_TOKENS:
        raise InvalidParameter(
            f"{field} has {accuracy}{tokens} tokens. Send at most {MAX_TOKENS} at once.", param=field
        )


def token(id: int, tokenizer: Tokenizer) -> Token:
    piece = tokenizer.piece(id)
    return Token(id, piece.decode(errors="replace") if piece else tokenizer.token_text(id), list(piece))
