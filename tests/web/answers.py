"""Prepared answers of the endpoint, as the bytes of a stream, for what a model won't say on request."""

import math
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Route

from tests.stub_server import DONE, event
from tests.web.visit import Visit

COMPLETIONS = "/v1/chat/completions"

HEAD = {
    "id": "chatcmpl-prepared",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "oruel-demo",
    "tier": "standard",
}

TEMPERATURE = 0.7
TOP_P = 0.9
LEADING = 10
BINS = 64
REST = 3000
REST_LOGIT = 0.0
LOGITS = [10.0 - rank for rank in range(LEADING)]


def answer_with(visit: Visit, body: bytes) -> None:
    """The browser answers the visit's requests itself; the server doesn't see them."""

    def answer(route: Route) -> None:
        route.fulfill(headers={"content-type": "text/event-stream", "x-request-id": "req-prepared"}, body=body)

    visit.context.route(f"{visit.origin}{COMPLETIONS}", answer)


def stream(texts: Sequence[str], *, finish: str = "stop") -> bytes:
    """An answer in one chunk for each text, which is one token, with its trace."""
    usage = {"prompt_tokens": 5, "completion_tokens": len(texts), "total_tokens": len(texts) + 5}
    chunks = [_chunk(text, trace=[token_trace(text)]) for text in texts]
    return b"".join(
        [
            _chunk("", role="assistant"),
            *chunks,
            _chunk(finish=finish),
            event({**HEAD, "choices": [], "usage": usage}),
            DONE,
        ]
    )


def _chunk(content: str | None = None, *, trace: Any = None, finish: str | None = None, **more: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": {**delta, **more}, "logprobs": None, "finish_reason": finish}
    return event({**HEAD, "choices": [choice | ({} if trace is None else {"trace": trace})], "usage": None})


def token_trace(text: str) -> dict[str, Any]:
    """A trace as docs/trace.md describes it: the token led, and top_p left it and some others after the temperature.
    The tokens that aren't candidates all have the same logit.
    """
    before, low_before = shares([math.exp(logit) for logit in LOGITS], REST * math.exp(REST_LOGIT))
    tempered, _ = shares([math.exp(x / TEMPERATURE) for x in LOGITS], REST * math.exp(REST_LOGIT / TEMPERATURE))
    kept = next(count for count in range(1, LEADING) if sum(tempered[:count]) >= TOP_P)
    after, _ = shares(tempered[:kept], 0)
    texts = [text, *(f" other{rank}" for rank in range(1, LEADING))]
    return {
        **token(0, text),
        "source": "drawn",
        "steps": ["temperature", "top_p"],
        "vocabulary_size": LEADING + REST,
        "candidates": [
            {
                **token(rank, other),
                "logit": LOGITS[rank],
                "bias": 0,
                "count": 0,
                "probability": before[rank],
                "after": [tempered[rank], after[rank] if rank < kept else 0],
                "removed_by": None if rank < kept else "top_p",
            }
            for rank, other in enumerate(texts)
        ],
        "survivors": {"count": kept, "mass": sum(before[:kept])},
        "allowed": {"count": LEADING + REST, "mass": 1.0},
        "rest": {
            "low": REST_LOGIT,
            "high": REST_LOGIT + 1,
            "counts": [REST] + [0] * (BINS - 1),
            "masses": [low_before] + [0.0] * (BINS - 1),
        },
        "draw": {"u": after[0] / 2, "low": 0.0, "high": after[0]},
        "entropy": {"before": entropy([*before, *[low_before / REST] * REST]), "after": entropy(after)},
    }


def token(number: int, text: str) -> dict[str, Any]:
    return {"id": number, "token": text, "bytes": list(text.encode())}


def shares(weights: Sequence[float], rest: float) -> tuple[list[float], float]:
    """The weights and that of the rest, divided by their sum."""
    total = sum(weights) + rest
    return [weight / total for weight in weights], rest / total


def entropy(probabilities: Sequence[float]) -> float:
    return -sum(p * math.log2(p) for p in probabilities)
