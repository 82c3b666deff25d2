"""The metrics of requests and answers, and GET /metrics, which returns them in Prometheus' text format."""

import time
from functools import lru_cache
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from oruel.api.record import RequestRecord
from oruel.api.services import Endpoint

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)

M = TypeVar("M", Counter, Histogram)


class Metrics:
    """Label values come from the catalog and from status codes, never from a caller, so their number is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_model = ["model", "tier"]
        self._requests = Counter("oruel_requests", "HTTP requests by status", ["status", *by_model], registry=registry)

        def histogram(name: str, summary: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"oruel_{name}_seconds", summary, by_model, buckets=buckets, registry=registry)

        self._seconds = histogram("request", "From the arrival of the request to the end of its answer")
        self._queue = histogram("queue", "From submission to the engine until the engine starts the request")
        self._first = histogram("first_token", "From the arrival of the request to its first token")
        self._per_token = histogram("output_token", "Mean time between two tokens of a finished choice", TOKEN_SECONDS)
        self._prompt = Counter("oruel_prompt_tokens", "Prompt tokens of finished requests", by_model, registry=registry)
        self._cached = Counter(
            "oruel_cached_prompt_tokens", "Prompt tokens found in the prefix cache", by_model, registry=registry
        )
        self._completion = Counter(
            "oruel_completion_tokens", "Generated tokens of finished requests", by_model, registry=registry
        )
        self._price = Counter("oruel_price_usd", "Prices of finished requests, rounded", by_model, registry=registry)

    def observe(self, record: RequestRecord) -> None:
        labels = (record.model or "", record.tier or "")
        series(self._requests, str(record.status), *labels).inc()
        series(self._seconds, *labels).observe(time.perf_counter() - record.started)
        for histogram, seconds in (
            (self._queue, record.queued),
            (self._first, record.to_first_token),
            (self._per_token, record.per_token),
        ):
            if seconds is not None:
                series(histogram, *labels).observe(seconds)
        if record.usage is not None:
            series(self._prompt, *labels).inc(record.usage.prompt_tokens)
            series(self._cached, *labels).inc(record.usage.cached_tokens)
            series(self._completion, *labels).inc(record.usage.completion_tokens)
            series(self._price, *labels).inc(float(record.usage.cost or 0))


@lru_cache(maxsize=4096)
def series(metric: M, *labels: str) -> M:
    """The part of `metric` with these labels. Prometheus' own look-up takes a lock."""
    return metric.labels(*labels)


def metrics_endpoint(registry: CollectorRegistry) -> Endpoint:
    async def read_metrics(request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return read_metrics
