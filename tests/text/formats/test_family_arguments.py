"""Listed families that write arguments in JSON: what no grammar holds of their schema is held."""

from dataclasses import replace
from typing import Any

import pytest

from oruel.constraints.calls.constraint import CallsConstraint
from oruel.constraints.spec import RulesSpec
from oruel.types import ChatRequest, Tool
from tests.constraints.test_calls import compiled
from tests.text.formats.spoken import SPOKEN, Spoken
from tests.text.formats.test_families import NOW, WEATHER, Model, make_request

TOOLS = (Tool("weather", "", {**WEATHER, "dependentRequired": {"days": ["unit"]}}), Tool("now", "", NOW))
VALID = {"city": "Bern", "days": 3, "unit": "c", "sure": True}
INVALID = {"city": "Bern", "days": 3, "sure": True}


def spec_of(model: Model, request: ChatRequest) -> RulesSpec:
    spec = model.spec(request)
    assert isinstance(spec, RulesSpec)
    return spec


def writes_json(spoken: Spoken) -> bool:
    spec = spec_of(Model(spoken, special=True), make_request())
    return len(spec.arguments) == len(spec.schemas) > 0


WITH_JSON = list(filter(writes_json, SPOKEN))


@pytest.mark.parametrize("special", [False, True], ids=["plain markers", "control tokens"])
@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize("spoken", WITH_JSON, ids=lambda spoken: spoken.family)
def test_arguments_are_checked_in_each_way_to_write_a_call(spoken: Spoken, mode: Any, special: bool) -> None:
    model = Model(spoken, special=special)
    request = replace(make_request(mode), tools=TOOLS)
    valid = [("now", {}), ("weather", VALID)] if spoken.many else [("weather", VALID)]
    for write in spoken.calls:
        assert is_allowed(model, request, write(valid))
        assert not is_allowed(model, request, write([("weather", INVALID)]))


def is_allowed(model: Model, request: ChatRequest, text: str) -> bool:
    """Whether the constraint takes each token of the text as it is."""
    constraint = compiled(model.tokens, spec_of(model, request))
    assert isinstance(constraint, CallsConstraint)
    for token in model.tokenize(text):
        if constraint.is_complete or constraint.enforce_limits(token) != token:
            return False
        constraint.accept(token)
    return True
