"""Planted defects of reading a request: ranges, types, unknown fields, names of fields, errors."""

from dataclasses import replace
from typing import Any

from oruel.api.chat.body import FIELDS, ChatCall
from oruel.contract.kinds import Integer, Number
from oruel.errors import InvalidParameter, OruelError
from tests.verify.planted import planted, with_sampling
from tests.verify.toy_choice import Json
from tests.verify.toy_server import ToyServer

RANGED = {name: kind for name, kind in FIELDS.items() if isinstance(kind, (Number, Integer))}


def is_outside(name: str, value: Any) -> bool:
    kind = RANGED.get(name)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind is not None and is_number and not kind.minimum <= value <= kind.maximum


def clamped(name: str, value: Any) -> Any:
    return min(max(value, RANGED[name].minimum), RANGED[name].maximum) if is_outside(name, value) else value


class BodyReader(ToyServer):
    """Changes the fields of a body before it is read."""

    def read(self, body: Any) -> ChatCall:
        return super().read(self.changed(body) if isinstance(body, dict) else body)

    def changed(self, body: Json) -> Json:
        raise NotImplementedError


@planted("temperature.range", "2.01, 4: clamped to 2")
class RangesClamped(BodyReader):
    """llama.cpp clamps temperature, top_k, top_p and min_p in silence."""

    def changed(self, body: Json) -> Json:
        return {name: clamped(name, value) for name, value in body.items()}


@planted("temperature.range", "2.01, 4: ignored")
class OutOfRangeIgnored(BodyReader):
    """A value that isn't allowed counts as absent."""

    def changed(self, body: Json) -> Json:
        return {name: value for name, value in body.items() if not is_outside(name, value)}


@planted("temperature.range", "4: accepted")
class OutOfRangeAccepted(ToyServer):
    """llama-cpp-python doesn't bound the temperature, llama.cpp only below."""

    def read(self, body: Any) -> ChatCall:
        value = body.get("temperature")
        if not is_outside("temperature", value) or value < 0:
            return super().read(body)
        call = super().read({**body, "temperature": 2})
        return replace(call, request=with_sampling(call.request, temperature=value))


@planted("repetition_penalty.types", '"3": taken as 3')
class StringsAsNumbers(BodyReader):
    """Reads "0.5" as a number, as lax validation libraries do."""

    def changed(self, body: Json) -> Json:
        return {name: as_number(value) if name in RANGED else value for name, value in body.items()}


def as_number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


@planted("seed.types", "null: status 400")
class NullRefused(ToyServer):
    """null isn't taken as absent."""

    def read(self, body: Any) -> ChatCall:
        for name, value in body.items():
            if value is None:
                raise InvalidParameter(f"{name} must not be null.", param=name)
        return super().read(body)


@planted("unknown", "dropped in silence")
class UnknownDropped(BodyReader):
    """Most servers."""

    def changed(self, body: Json) -> Json:
        return {name: value for name, value in body.items() if name in FIELDS}


@planted("temperature.range", "2.01, 4: the refusal doesn't name temperature")
class NamelessRefusals(ToyServer):
    """Errors say that the request is bad, not why."""

    def refusal(self, error: OruelError) -> Json:
        return {"message": "Bad request.", "type": error.type, "param": None, "code": None}


@planted("max_completion_tokens", "ignored")
class NewNameIgnored(BodyReader):
    """ollama#7125, llama-cpp-python#1907."""

    def changed(self, body: Json) -> Json:
        return {name: value for name, value in body.items() if name != "max_completion_tokens"}


@planted("max_completion_tokens.conflict", "accepted")
class ConflictAccepted(BodyReader):
    def changed(self, body: Json) -> Json:
        dropped = "max_completion_tokens" if "max_tokens" in body else ""
        return {name: value for name, value in body.items() if name != dropped}


@planted("stop.limits", "5 stop texts are accepted")
class FiveStopsAccepted(BodyReader):
    """Drops those beyond the fourth."""

    def changed(self, body: Json) -> Json:
        stop = body.get("stop")
        return body | {"stop": stop[:4]} if isinstance(stop, list) else body


@planted("tools.limit", "129 tools are accepted")
class ManyToolsAccepted(BodyReader):
    """No engine limits the number of tools."""

    def changed(self, body: Json) -> Json:
        return body | {"tools": body["tools"][:128]} if isinstance(body.get("tools"), list) else body


@planted("tier", "an unknown tier is accepted")
class AnyTierAccepted(BodyReader):
    def changed(self, body: Json) -> Json:
        known = body.get("tier") in (None, "standard", "turbo")
        return body if known else body | {"tier": "standard"}
