"""Schemas through the whole engine: whatever the schema, the settings and the budget, the document is valid."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from oruel.constraints.grammar import Grammar
from oruel.constraints.schema import json_grammar
from oruel.constraints.tokens import Tokens
from oruel.engine.engine import Engine
from oruel.engine.protocol import Submit
from oruel.engine.scheduler import Limits
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.types import SamplingParams
from tests.engine.test_reference import random_params
from tests.gguf_models import llama_model

pytestmark = pytest.mark.model

BUNDLED = Path(__file__).parents[2] / "src" / "oruel" / "models" / "oruel-demo.gguf"
SEED = 20261124
SLOTS = 8
PROMPT = list(b"Answer in JSON:")
WORDS = ["a", "name", "größe", "x y", 'say "it"', "{}", "null"]


def random_schema(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    kinds = ["string", "integer", "number", "boolean", "enum", "const", "null", "pattern"]
    kind = chance.choice(kinds if depth > 2 else [*kinds, "object", "object", "array", "array", "either"])
    match kind:
        case "string":
            low = chance.choice([0, 0, 1, 5])
            return {"type": "string", "minLength": low, "maxLength": low + chance.choice([0, 3, 40])}
        case "integer" | "number":
            low = chance.choice([-1000, -3, 0, 7, 10**6])
            return {"type": kind, "minimum": low, "maximum": low + chance.choice([0, 5, 10**5])}
        case "enum":
            return {"enum": chance.sample([*WORDS, 1, 2.5, None, True], chance.randint(1, 4))}
        case "const":
            return {"const": chance.choice([*WORDS, 0, False])}
        case "pattern":
            return {"type": "string", "pattern": chance.choice(["^[a-z]{2,4}$", "^[0-9]{3}-[0-9]{4}$", "^(ab|cd)+$"])}
        case "object":
            return random_object(chance, depth)
        case "array":
            low = chance.choice([0, 0, 1, 2])
            return {
                "type": "array",
                "items": random_schema(chance, depth + 1),
                "minItems": low,
                "maxItems": low + chance.choice([0, 2, 9]),
            }
        case "either":
            return {"anyOf": [random_schema(chance, depth + 1) for _ in range(chance.choice([1, 2, 3]))]}
        case _:
            return {"type": kind}


def random_object(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    names = chance.sample(WORDS, chance.randint(0, 4))
    return {
        "type": "object",
        "properties": {name: random_schema(chance, depth + 1) for name in names},
        "required": [name for name in names if chance.random() < 0.6],
        "additionalProperties": chance.choice([False, False, True]),
    }


def documents(
    model: Model, requests: list[tuple[dict[str, Any], SamplingParams, int]]
) -> list[tuple[str, str | None, bool]]:
    """The text of each, how it ended, and whether its budget held a document; all at once, as slots allow."""
    tokens = Tokens(model.vocabulary)
    with Context(model, window=768, sequences=SLOTS, batch=512, threads=1) as context:
        engine = Engine(context, Limits(SLOTS), vocabulary_size=tokens.size, is_end=tokens.ends.__contains__)
        held = [Grammar(tokens, json_grammar(schema), budget, closes=True) for schema, _, budget in requests]
        possible = [one.closes for one in held]
        for number, (_, sampling, budget) in enumerate(requests):
            engine.submit(Submit(number, PROMPT, 0, budget, sampling), number, held[number])
        texts, ends = [b""] * len(requests), dict[int, str | None]()
        while engine.has_work:
            step = engine.step()
            assert not step.failures
            for output in step.tokens:
                texts[output.sequence] += model.vocabulary.piece(output.token)
                ends[output.sequence] = output.finish
    return [(text.decode(errors="replace"), ends[number], possible[number]) for number, text in enumerate(texts)]


@pytest.mark.parametrize("kind", ["the bundled model", "random weights"])
def test_every_document_is_valid_whatever_the_schema_the_settings_and_the_budget(kind: str, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} {kind}")
    requests = [
        (random_object(chance), random_params(chance), chance.choice([3, 9, 20, 50, 100, 250])) for _ in range(250)
    ]
    with Model(BUNDLED if kind == "the bundled model" else llama_model(tmp_path)) as model:
        answers = documents(model, requests)
        again = documents(model, requests[:20])
    valid = 0
    for (schema, sampling, budget), (text, end, possible) in zip(requests, answers, strict=True):
        if possible:
            note = f"seed {SEED}: {schema}, {sampling}, {budget}: {text!r}"
            assert Draft202012Validator(schema).is_valid(json.loads(text)), note
            valid += 1
        assert end in ("complete", "length", "stop")
    assert valid >= 150, "most budgets hold a document"
    assert again == answers[:20], "the same seeds, the same documents"
    assert {"complete", "length"} <= {end for _, end, _ in answers}


def test_a_value_at_the_top_ends_where_the_model_ends_it(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    schemas: list[dict[str, Any]] = [{"type": "integer"}, {"type": "string"}, {"enum": ["a", "ab"]}, {"type": "array"}]
    requests = [(chance.choice(schemas), random_params(chance), 30) for _ in range(60)]
    with Model(llama_model(tmp_path)) as model:
        for (schema, _, _), (text, _, _) in zip(requests, documents(model, requests), strict=True):
            assert Draft202012Validator(schema).is_valid(json.loads(text)), text


def test_a_forced_run_of_tokens_takes_one_step(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"a rather long name": {"const": "and its value"}},
        "required": ["a rather long name"],
        "additionalProperties": False,
    }
    with Model(llama_model(tmp_path)) as model:
        tokens = Tokens(model.vocabulary)
        with Context(model, window=256, sequences=2, batch=256, threads=1) as context:
            engine = Engine(context, Limits(2), vocabulary_size=tokens.size, is_end=tokens.ends.__contains__)
            engine.submit(
                Submit(0, PROMPT, 0, 100, SamplingParams()), 0, Grammar(tokens, json_grammar(schema), 100, closes=True)
            )
            step = engine.step()
            text = b"".join(tokens.pieces[output.token] for output in step.tokens)
            assert json.loads(text) == {"a rather long name": "and its value"}
            assert [output.finish for output in step.tokens][-1] == "complete"
            assert not engine.has_work
