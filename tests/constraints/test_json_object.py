"""JSON mode yields a complete object within its budget, however tokens are chosen among the allowed ones."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.tokens import TokenTable
from oruel.llama.model import Model
from tests.gguf_models import llama_model, mistral_model

pytestmark = pytest.mark.model

BUNDLED = Path(__file__).parents[2] / "src" / "oruel" / "models" / "oruel-demo.gguf"
SEED = 20261124
DOCUMENTS = 60

Chooser = Callable[[random.Random, list[int], list[bytes]], int]


def anything(chance: random.Random, allowed: list[int], pieces: list[bytes]) -> int:
    return chance.choice(allowed)


def the_longest(chance: random.Random, allowed: list[int], pieces: list[bytes]) -> int:
    return max(allowed, key=lambda token: (len(pieces[token]), chance.random()))


def preferring(letters: bytes) -> Chooser:
    """Usually a token with the most of these bytes, sometimes any token."""

    def choose(chance: random.Random, allowed: list[int], pieces: list[bytes]) -> int:
        if chance.random() < 0.2:
            return chance.choice(allowed)
        return max(allowed, key=lambda token: (count(pieces[token]), chance.random()))

    def count(piece: bytes) -> int:
        return len(piece) - len(piece.translate(None, letters))

    return choose


CHOOSERS = {
    "anything": anything,
    "the longest token": the_longest,
    "ever deeper": preferring(b"[{"),
    "ever more keys": preferring(b'",:'),
    "whitespace": preferring(b" \n\t"),
    "digits": preferring(b"-0123456789.e"),
    "escapes": preferring(b"\\u"),
    "half characters": preferring(bytes(range(0xC2, 0xF5))),
    "literals": preferring(b"truefalsn"),
}


@pytest.fixture(scope="module", params=["the bundled model", "bytes and a few merges", "SentencePiece"])
def tokens(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenTable]:
    folder = tmp_path_factory.mktemp("model")
    makers = {"bytes and a few merges": llama_model, "SentencePiece": mistral_model}
    path = makers[request.param](folder) if request.param in makers else BUNDLED
    with Model(path, vocabulary_only=True) as model:
        yield TokenTable(model.vocabulary)


def write(
    tokens: TokenTable, budget: int, choose: Chooser, chance: random.Random
) -> tuple[list[int], JsonObjectConstraint]:
    constraint, written = JsonObjectConstraint(tokens, budget), list[int]()
    while not constraint.is_complete and len(written) < budget:
        if constraint.forced:
            token = constraint.forced[0]
        else:
            bits = np.unpackbits(constraint.mask(), count=tokens.size, bitorder="little")
            token = constraint.enforce_limits(choose(chance, np.flatnonzero(bits).tolist(), tokens.pieces))
        constraint.accept(token)
        written.append(token)
    return written, constraint


def text_of(tokens: TokenTable, written: list[int]) -> str:
    return b"".join(tokens.pieces[token] for token in written).decode()


@pytest.mark.parametrize("chooser", CHOOSERS)
def test_every_document_is_an_object_at_every_budget(tokens: TokenTable, chooser: str) -> None:
    chance = random.Random(f"{SEED} {chooser}")
    for number in range(DOCUMENTS):
        budget = chance.choice([2, 3, 4, 5, 8, 13, 30, 60, 100])
        written, constraint = write(tokens, budget, CHOOSERS[chooser], chance)
        assert isinstance(json.loads(text_of(tokens, written)), dict), f"seed {SEED}, {chooser}, document {number}"
        assert constraint.is_complete


def test_a_budget_of_one_token_truncates_the_object(tokens: TokenTable) -> None:
    written, constraint = write(tokens, 1, anything, random.Random(SEED))
    assert text_of(tokens, written) == "{"
    assert not constraint.is_closing


def test_whitespace_cannot_loop_for_ever(tokens: TokenTable) -> None:
    written, _ = write(tokens, 400, preferring(b" \n\t"), random.Random(SEED))
    outside_strings = json.dumps(json.loads(text_of(tokens, written)))
    assert len(text_of(tokens, written)) <= 60 * len(outside_strings)


def test_a_document_that_ends_by_itself_is_not_closing(tokens: TokenTable) -> None:
    def prefer_end(chance: random.Random, allowed: list[int], pieces: list[bytes]) -> int:
        return max(allowed, key=lambda token: pieces[token] == b"}")

    written, constraint = write(tokens, 50, prefer_end, random.Random(SEED))
    assert constraint.is_complete
    assert not constraint.is_closing
    assert len(written) < 50
