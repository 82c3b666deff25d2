"""JSON mode through the whole engine: every document parses for any settings, and a seed reproduces it."""

import json
import random
from pathlib import Path

import pytest

from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.tokens import TokenTable
from oruel.engine.engine import Engine
from oruel.engine.protocol import Submit
from oruel.engine.scheduler import StepLimits
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


def documents(model: Model, requests: list[tuple[SamplingParams, int]]) -> list[tuple[bytes, str | None]]:
    """Runs all requests concurrently. Returns the text and the finish of each."""
    tokens = TokenTable(model.vocabulary)
    with Context(model, window=256, sequences=SLOTS, batch=256, threads=1) as context:
        engine = Engine(
            context,
            StepLimits(SLOTS),
            vocabulary_size=model.vocabulary.size,
            is_end=tokens.ends.__contains__,
        )
        for number, (sampling, budget) in enumerate(requests):
            engine.submit(
                Submit(number, PROMPT, choice=0, max_tokens=budget, sampling=sampling),
                number,
                JsonObjectConstraint(tokens, budget),
            )
        texts: list[bytes] = [b""] * len(requests)
        ends: list[str | None] = [None] * len(requests)
        while engine.has_work:
            for output in engine.step().tokens:
                texts[output.sequence] += model.vocabulary.piece(output.token)
                ends[output.sequence] = output.finish
    return list(zip(texts, ends, strict=True))


# Random weights choose among more of the tokens allowed, in a fraction of the time.
@pytest.mark.parametrize(("kind", "count"), [("the bundled model", 200), ("random weights", 800)])
def test_every_document_parses_with_any_settings_and_budget(kind: str, count: int, tmp_path: Path) -> None:
    chance = random.Random(f"{SEED} {kind}")
    requests = [(random_params(chance), chance.choice([2, 3, 5, 9, 17, 40, 90])) for _ in range(count)]
    with Model(BUNDLED if kind == "the bundled model" else llama_model(tmp_path)) as model:
        answers = documents(model, requests)
        again = documents(model, requests[:20])
    for (sampling, budget), (text, end) in zip(requests, answers, strict=True):
        assert isinstance(json.loads(text), dict), f"seed {SEED}: {sampling}, {budget} tokens: {text!r}"
        assert end in ("complete", "length")
    assert again == answers[:20], "the same seeds give the same documents"
    assert {end for _, end in answers} == {"complete", "length"}
