"""Schemas through the whole engine: the document is valid for any schema, settings and budget."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.schema import unenforceable_keywords
from oruel.constraints.spec import schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.engine.engine import Engine
from oruel.engine.protocol import Submit
from oruel.engine.scheduler import StepLimits
from oruel.errors import SchemaRefused
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.types import SamplingParams
from tests.engine.test_reference import random_params
from tests.gguf_models import llama_model
from tests.schemas import random_document_schema

pytestmark = pytest.mark.model

BUNDLED = Path(__file__).parents[2] / "src" / "oruel" / "models" / "oruel-demo.gguf"
SEED = 20261124
SLOTS = 8
PROMPT = list(b"Answer in JSON:")
WINDOW = 768


def documents(
    model: Model, requests: list[tuple[dict[str, Any], SamplingParams, int]]
) -> list[tuple[str, str | None, bool]]:
    """Runs all requests concurrently. Returns for each its text, its finish and whether its budget fits a document."""
    tokens = TokenTable(model.vocabulary)
    with Context(model, window=WINDOW, sequences=SLOTS, batch=512, threads=1) as context:
        engine = Engine(context, StepLimits(SLOTS), vocabulary_size=tokens.size, is_end=tokens.ends.__contains__)
        constraints = [GrammarConstraint(tokens, schema_spec(schema), budget) for schema, _, budget in requests]
        possible = [one.can_close for one in constraints]
        for number, (_, sampling, budget) in enumerate(requests):
            engine.submit(
                Submit(number, PROMPT, choice=0, max_tokens=budget, sampling=sampling), number, constraints[number]
            )
        texts, ends = [b""] * len(requests), dict[int, str | None]()
        while engine.has_work:
            step = engine.step()
            assert not step.failures
            for output in step.tokens:
                texts[output.sequence] += model.vocabulary.piece(output.token)
                ends[output.sequence] = output.finish
    return [(text.decode(errors="replace"), ends[number], possible[number]) for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def bundled() -> Iterator[Model]:
    with Model(BUNDLED) as model:
        yield model


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    with Model(llama_model(tmp_path_factory.mktemp("model"))) as model:
        yield model


def ample(example: Any) -> int:
    """More tokens than the example needs."""
    return 20 + 3 * len(json.dumps(example).encode()) // 2


def within_window(budget: int) -> int:
    return min(budget, WINDOW - len(PROMPT))


def can_be_read(schema: dict[str, Any]) -> bool:
    """False for a schema on which the library panics, as on some pairs of equal bounds. No other may be refused."""
    try:
        unenforceable_keywords(schema)
    except SchemaRefused as error:
        if "fails on it" not in error.message:
            raise
        return False
    return True


def rounds(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


# A round has 24 requests, and three budgets in four fit a document. Together with JSON mode, that is more than 2,000
# valid documents. Most come from random weights, which choose among more of the tokens allowed, in a third of the time.
@rounds(6)
@given(st.integers(0, 2**32))
def test_every_document_of_the_bundled_model_is_valid_for_any_schema_settings_and_budget(
    bundled: Model, seed: int
) -> None:
    check_documents(bundled, random.Random(seed), f"seed {seed}")


@rounds(54)
@given(st.integers(0, 2**32))
def test_every_document_of_random_weights_is_valid_for_any_schema_settings_and_budget(
    random_weights: Model, seed: int
) -> None:
    check_documents(random_weights, random.Random(seed), f"seed {seed}")


def check_documents(model: Model, chance: random.Random, seed: str) -> None:
    drawn = [random_document_schema(chance) for _ in range(24)]
    made = [(schema, example) for schema, example in drawn if can_be_read(schema)]
    requests = [
        (schema, random_params(chance), within_window(budget))
        for schema, example in made
        for budget in [chance.choice([3, 9, 20, 50, 100, ample(example), ample(example), 300])]
    ]
    for (_, example), (schema, sampling, budget), (text, end, possible) in zip(
        made, requests, documents(model, requests), strict=True
    ):
        note = f"{seed}: {schema}, {sampling}, {budget}: {text!r}"
        assert Draft202012Validator(schema).is_valid(example), note
        assert possible or budget < ample(example), note
        if possible:
            assert Draft202012Validator(schema).is_valid(json.loads(text)), note
        assert end in ("complete", "length", "stop")


@pytest.mark.parametrize("model", ["bundled", "random_weights"])
def test_the_same_seeds_give_the_same_documents(model: str, request: pytest.FixtureRequest) -> None:
    opened: Model = request.getfixturevalue(model)
    chance = random.Random(SEED)
    requests = [(random_document_schema(chance)[0], random_params(chance), 100) for _ in range(20)]
    answers = documents(opened, requests)
    assert documents(opened, requests) == answers
    assert {"complete", "length"} <= {end for _, end, _ in answers}


def test_a_top_level_value_ends_with_an_end_token(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    schemas: list[dict[str, Any]] = [{"type": "integer"}, {"type": "string"}, {"enum": ["a", "ab"]}, {"type": "array"}]
    requests = [(chance.choice(schemas), random_params(chance), 30) for _ in range(60)]
    with Model(llama_model(tmp_path)) as model:
        for (schema, _, _), (text, _, _) in zip(requests, documents(model, requests), strict=True):
            assert Draft202012Validator(schema).is_valid(json.loads(text)), text


def test_forced_tokens_take_one_step(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"a rather long name": {"const": "and its value"}},
        "required": ["a rather long name"],
        "additionalProperties": False,
    }
    with Model(llama_model(tmp_path)) as model:
        tokens = TokenTable(model.vocabulary)
        with Context(model, window=256, sequences=2, batch=256, threads=1) as context:
            engine = Engine(context, StepLimits(2), vocabulary_size=tokens.size, is_end=tokens.ends.__contains__)
            engine.submit(
                Submit(0, PROMPT, choice=0, max_tokens=100, sampling=SamplingParams()),
                0,
                GrammarConstraint(tokens, schema_spec(schema), 100),
            )
            step = engine.step()
            text = b"".join(tokens.pieces[output.token] for output in step.tokens)
            assert json.loads(text) == {"a rather long name": "and its value"}
            assert [output.finish for output in step.tokens][-1] == "complete"
            assert not engine.has_work
