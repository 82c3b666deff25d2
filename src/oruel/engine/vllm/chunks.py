"""The events of vLLM's token API, as far as Oru'el reads them."""

from typing import Any

import msgspec

from oruel.errors import UpstreamFailed

DONE = b"[DONE]"


class RankedToken(msgspec.Struct):
    token_id: int
    logprob: float


class SampledToken(RankedToken):
    """`top_logprobs`: the sampled token, then the most probable ones, of which it may be one."""

    top_logprobs: list[RankedToken] = []


class SampledTokens(msgspec.Struct):
    content: list[SampledToken] | None = None


class RowPiece(msgspec.Struct):
    """Tokens of one row. `finish_reason`: "stop" at a stop token, the last of `token_ids`; "length"; "abort"."""

    index: int = 0
    token_ids: list[int] | None = None
    finish_reason: str | None = None
    logprobs: SampledTokens | None = None


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class TokenUsage(msgspec.Struct):
    prompt_tokens_details: PromptDetails | None = None


class TokenChunk(msgspec.Struct):
    """One event. An `error` takes the place of the rest."""

    choices: list[RowPiece] = []
    usage: TokenUsage | None = None
    error: Any = None

    @property
    def cached(self) -> int | None:
        """The tokens of the prompt that vLLM had in its cache; None if this event doesn't say so."""
        details = self.usage.prompt_tokens_details if self.usage else None
        return max(0, details.cached_tokens or 0) if details else None


decode = msgspec.json.Decoder(TokenChunk).decode


def read_chunk(event: bytes) -> TokenChunk | None:
    """None at the end of the stream. Raises UpstreamFailed."""
    if event.strip() == DONE:
        return None
    try:
        return decode(event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailed(
            "The vLLM behind this model sent an event that can't be read.", detail=str(error)
        ) from error
