"""Planted defects: each is a ToyServer that overrides one method, with the check that must find it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from oruel.types import ChatRequest
from tests.verify.toy_server import ToyServer


@dataclass(frozen=True)
class Fault:
    """`check` is the name of the check that must find it, and `verdict` a part of what it must say: the outcome, or the
    phrase after it. The docstring of `server` describes the defect and names systems that have had it.
    """

    server: type[ToyServer]
    check: str
    verdict: str

    @property
    def name(self) -> str:
        return self.server.__name__


PLANTED: list[Fault] = []


def planted(check: str, verdict: str) -> Callable[[type[ToyServer]], type[ToyServer]]:
    def note(server: type[ToyServer]) -> type[ToyServer]:
        PLANTED.append(Fault(server, check, verdict))
        return server

    return note


def with_sampling(request: ChatRequest, **changes: Any) -> ChatRequest:
    return replace(request, sampling=replace(request.sampling, **changes))
