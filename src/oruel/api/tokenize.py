"""POST /tokenize: a text, or the prompt that messages make, as token ids with their text."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.body import read_object
from oruel.api.chat_body import FIELDS, check_template_kwargs
from oruel.api.record import record_of
from oruel.api.services import Endpoint, Services, Tokenizer
from oruel.errors import InvalidParameter, UnsupportedParameter
from oruel.kinds import Object, String
from oruel.router.catalog import Catalog, ModelCard

# The answer is some fifty times the size of its tokens.
MAX_TOKENS = 2**18

TOKENIZE_BODY = Object(
    {
        "model": FIELDS["model"],
        "text": String(),
        "messages": FIELDS["messages"],
        "chat_template_kwargs": FIELDS["chat_template_kwargs"],
    }
)


class Token(msgspec.Struct):
    """`text` is `bytes` as text, or the vocabulary's own name for a control token, which has no bytes."""

    id: int
    text: str
    bytes: list[int]


class TokenizeAnswer(msgspec.Struct):
    model: str
    count: int
    tokens: list[Token]


def tokenize_endpoint(services: Services) -> Endpoint:
    async def tokenize(request: Request) -> Response:
        given = TOKENIZE_BODY.parse(await read_object(request, services.max_body_bytes), "")
        check_together(given)
        card = chosen_model(given, services.catalog)
        record_of(request).model = card.name
        check_template_kwargs(given.get("chat_template_kwargs", {}), card)
        if card.name not in services.tokenizers:
            raise UnsupportedParameter(
                f"{card.name} is served by others, whose tokens aren't known here.", param="model"
            )
        answer = await asyncio.to_thread(tokens_json, given, card.name, services.tokenizers[card.name])
        return Response(answer, media_type="application/json")

    return tokenize


def check_together(given: dict[str, Any]) -> None:
    if ("text" in given) == ("messages" in given):
        raise InvalidParameter("Send either text or messages.", param="text")
    if "chat_template_kwargs" in given and "messages" not in given:
        raise InvalidParameter("chat_template_kwargs needs messages beside it.", param="chat_template_kwargs")


def chosen_model(given: dict[str, Any], catalog: Catalog) -> ModelCard:
    """The only model there is may be left unnamed."""
    if "model" in given:
        return catalog.resolve(given["model"])
    if len(catalog.cards) > 1:
        raise InvalidParameter("model is required, because this server has several.", param="model")
    return catalog.cards[0]


def tokens_json(given: dict[str, Any], name: str, tokenizer: Tokenizer) -> bytes:
    if "text" in given:
        field, ids = "text", tokenizer.encode_text(given["text"])
    else:
        kwargs = given.get("chat_template_kwargs", {})
        field, ids = "messages", tokenizer.encode_messages(given["messages"], kwargs)
    if len(ids) > MAX_TOKENS:
        raise InvalidParameter(f"{field} is {len(ids)} tokens; send at most {MAX_TOKENS} at once.", param=field)
    return msgspec.json.encode(TokenizeAnswer(name, len(ids), [token(id, tokenizer) for id in ids]))


def token(id: int, tokenizer: Tokenizer) -> Token:
    piece = tokenizer.piece(id)
    return Token(id, piece.decode(errors="replace") if piece else tokenizer.token_text(id), list(piece))
