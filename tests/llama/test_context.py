import gc
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from oruel.errors import ConfigError, EngineFailed
from oruel.llama.context import Context
from oruel.llama.model import Model
from tests import gguf_models
from tests.llama.reference import ReferenceLlama

pytestmark = pytest.mark.model

Logits = npt.NDArray[np.float32]

# llama.cpp stores keys and values in half precision and selects its kernels by the shape of the batch. The logits have
# a standard deviation of 2.5. A single wrong position or sequence changes them by more than 0.3.
TOLERANCE = 0.03


ALLOCATE_TOO_MUCH = """
import resource, sys
from oruel.errors import ModelLoadError
from oruel.llama.context import Context
from oruel.llama.model import Model
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
try:
    Context(Model(sys.argv[1]), window=1_000_000_000, sequences=1, batch=32, threads=1)
except ModelLoadError as error:
    print(error)
"""


def run(context: Context, tokens: Sequence[int], sequence: int = 0, start: int = 0) -> Logits:
    """The logits after each of `tokens`, computed in one step."""
    count = len(tokens)
    return context.decode(tokens, range(start, start + count), [sequence] * count, [True] * count).copy()


def random_tokens(model: Model, count: int, seed: int) -> list[int]:
    return random.Random(seed).choices(range(model.vocabulary.size), k=count)


@pytest.fixture(scope="module", params=[True, False], ids=["f16", "f32"])
def path(request: pytest.FixtureRequest, folder: Path) -> Path:
    return gguf_models.llama_model(folder, half=request.param)


def test_logits_match_the_reference_implementation(path: Path) -> None:
    reference = ReferenceLlama(path)
    with Model(path) as model, Context(model, window=256, sequences=1, batch=64, threads=1) as context:
        tokens = random_tokens(model, 50, seed=1)
        np.testing.assert_allclose(run(context, tokens), reference.logits(tokens), atol=TOLERANCE)


def test_continuous_batching_matches_the_reference_implementation(path: Path) -> None:
    """Runs random steps over four slots. Each step adds 1 to 7 tokens to every running sequence, in shuffled order."""
    reference = ReferenceLlama(path)
    source = random.Random(2)
    with Model(path) as model, Context(model, window=256, sequences=4, batch=32, threads=1) as context:
        waiting = [Running(random_tokens(model, 30, seed), reference) for seed in range(12)]
        running: dict[int, Running] = {}
        while waiting or running:
            for place in range(4):
                if waiting and place not in running and source.random() < 0.3:
                    running[place] = waiting.pop()
            batch = shuffle_positions({place: one.next_positions(source) for place, one in running.items()}, source)
            if batch:
                check_step(context, batch, running)
            for place in [place for place, one in running.items() if one.done == len(one.tokens)]:
                context.forget(place)
                del running[place]


class Running:
    def __init__(self, tokens: list[int], reference: ReferenceLlama) -> None:
        self.tokens = tokens
        self.wanted = reference.logits(tokens)
        self.done = 0

    def next_positions(self, source: random.Random) -> list[int]:
        return list(range(self.done, min(self.done + source.randint(1, 7), len(self.tokens))))


def shuffle_positions(positions: dict[int, list[int]], source: random.Random) -> list[tuple[int, int]]:
    """Pairs of place and position. The places are in random order, the positions of each place in ascending order."""
    places = [place for place, own in positions.items() for _ in own]
    source.shuffle(places)
    following = {place: iter(own) for place, own in positions.items()}
    return [(place, next(following[place])) for place in places]


def check_step(context: Context, batch: list[tuple[int, int]], running: dict[int, Running]) -> None:
    places, positions = zip(*batch, strict=True)
    tokens = [running[place].tokens[position] for place, position in batch]
    logits = context.decode(tokens, positions, places, [True] * len(batch))
    for row, (place, position) in zip(logits, batch, strict=True):
        np.testing.assert_allclose(row, running[place].wanted[position], atol=TOLERANCE)
        running[place].done += 1


def test_batched_sequences_get_the_same_logits_as_alone(model: Model) -> None:
    first, second = random_tokens(model, 20, seed=3), random_tokens(model, 9, seed=4)
    with Context(model, window=256, sequences=2, batch=64, threads=1) as context:
        alone = [run(context, first, 0), run(context, second, 1)]
        context.forget(0)
        context.forget(1)
        positions, places = [*range(20), *range(9)], [0] * 20 + [1] * 9
        together = context.decode(first + second, positions, places, [True] * 29)
        np.testing.assert_allclose(together, np.concatenate(alone), atol=TOLERANCE)


def test_a_prompt_in_chunks_gets_the_same_logits_as_in_one_step(model: Model) -> None:
    tokens = random_tokens(model, 40, seed=5)
    with Context(model, window=256, sequences=2, batch=64, threads=1) as context:
        whole = run(context, tokens, 0)
        pieces = [run(context, tokens[start : start + 13], 1, start) for start in range(0, 40, 13)]
        np.testing.assert_allclose(np.concatenate(pieces), whole, atol=TOLERANCE)


@pytest.mark.parametrize("bundled", [False, True], ids=["random weights", "bundled model"])
def test_thread_count_does_not_change_reproducible_steps(llama_path: Path, bundled: bool) -> None:
    path = Path(str(resources.files("oruel.models") / "oruel-demo.gguf")) if bundled else llama_path
    with Model(path) as model:
        rows = {threads: list(reproducible_steps(model, threads)) for threads in (1, 2, 3)}
    for threads in (2, 3):
        assert all(map(np.array_equal, rows[threads], rows[1]))


def reproducible_steps(model: Model, threads: int) -> Iterator[Logits]:
    """The logits of the batch shapes that docs/determinism.md allows, with more than 512 cells in use."""
    length, more = 660, 4
    tokens = random_tokens(model, length + more, seed=3)
    with Context(model, window=1024, sequences=8, batch=256, threads=3) as context:
        context.threads = threads
        for start in range(0, length, 60):
            yield run(context, tokens[start : start + 60], 0, start)
        for sequence in range(1, 8):
            context.copy(0, sequence)
        for count in (2, 3, 8):
            for position in range(length, length + more):
                yield context.decode(
                    [tokens[position]] * count, [position] * count, range(count), [True] * count
                ).copy()
            for sequence in range(count):
                context.forget(sequence, length)


def test_a_forgotten_sequence_can_be_decoded_again(context: Context) -> None:
    tokens = random_tokens(context.model, 30, seed=6)
    first = run(context, tokens)
    context.forget(0)
    np.testing.assert_allclose(run(context, tokens), first, atol=TOLERANCE)


def test_a_sequence_can_be_truncated(context: Context) -> None:
    tokens = random_tokens(context.model, 30, seed=7)
    first = run(context, tokens)
    context.forget(0, from_position=12)
    np.testing.assert_allclose(run(context, tokens[12:], start=12), first[12:], atol=TOLERANCE)


def test_forgetting_a_sequence_keeps_the_others(context: Context) -> None:
    tokens = random_tokens(context.model, 30, seed=8)
    whole = run(context, tokens, 0)
    run(context, tokens[:20], 1)
    context.forget(0)
    np.testing.assert_allclose(run(context, tokens[20:], 1, start=20), whole[20:], atol=TOLERANCE)


def test_decode_returns_only_requested_outputs_in_batch_order(context: Context) -> None:
    tokens = random_tokens(context.model, 6, seed=9)
    whole = run(context, tokens)
    context.forget(0)
    asked = np.array([False, True, False, False, True, True])
    some = context.decode(np.array(tokens), np.arange(6), np.zeros(6, int), asked)
    np.testing.assert_allclose(some, whole[asked], atol=TOLERANCE)


def test_a_step_without_outputs_fills_the_kv_cache(context: Context) -> None:
    tokens = random_tokens(context.model, 8, seed=10)
    whole = run(context, tokens)
    context.forget(0)
    assert context.decode(tokens[:7], range(7), [0] * 7, [False] * 7).shape == (0, context.model.vocabulary.size)
    np.testing.assert_allclose(run(context, tokens[7:], start=7), whole[7:], atol=TOLERANCE)


def test_every_sequence_has_a_full_window(llama: Model) -> None:
    with Context(llama, window=200, sequences=2, batch=64, threads=1) as context:
        assert context.window == 256
        for sequence in range(2):
            for start in range(0, 256, 64):
                run(context, [1] * 64, start=start, sequence=sequence)
        with pytest.raises(AssertionError):
            run(context, [1], start=256)


def test_a_gap_in_positions_fails_and_leaves_the_sequence_intact(context: Context) -> None:
    tokens = random_tokens(context.model, 8, seed=11)
    whole = run(context, tokens)
    context.forget(0, from_position=5)
    with pytest.raises(EngineFailed, match="returned -1: the batch is invalid"):
        run(context, [1], start=9)
    np.testing.assert_allclose(run(context, tokens[5:], start=5), whole[5:], atol=TOLERANCE)


@pytest.mark.parametrize(
    ("tokens", "positions", "sequences"),
    [
        ([], [], []),
        ([1] * 65, range(65), [0] * 65),
        ([-1], [0], [0]),
        ([380], [0], [0]),
        ([1], [-1], [0]),
        ([1], [256], [0]),
        ([1], [0], [4]),
        ([1], [0], [-1]),
        ([1, 2], [0], [0]),
    ],
)
def test_decode_rejects_arguments_out_of_range(
    context: Context, tokens: list[int], positions: Sequence[int], sequences: list[int]
) -> None:
    with pytest.raises(AssertionError):
        context.decode(tokens, positions, sequences, [True] * len(tokens))


def test_more_than_256_sequences_are_refused(llama: Model) -> None:
    with pytest.raises(ConfigError, match="300 parallel sequences"):
        Context(llama, window=512, sequences=300, batch=32, threads=1)


def test_256_sequences_run_in_one_step(llama: Model) -> None:
    with Context(llama, window=512, sequences=256, batch=256, threads=1) as context:
        logits = context.decode([5] * 256, [0] * 256, range(256), [True] * 256)
        np.testing.assert_allclose(logits, np.broadcast_to(logits[0], logits.shape), atol=TOLERANCE)


def test_a_kv_cache_that_does_not_fit_in_memory_is_refused(llama_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", ALLOCATE_TOO_MUCH, str(llama_path)], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert b"a KV cache of 1000000000 tokens doesn't fit in memory" in run.stdout


def test_a_context_keeps_its_model_alive_until_closed(llama_path: Path) -> None:
    context = Context(Model(llama_path), window=64, sequences=1, batch=8, threads=1)
    gc.collect()
    assert run(context, [1, 2]).shape == (2, 380)
    context.close()
    context.close()
    with pytest.raises(AssertionError, match="closed"):
        run(context, [3], start=2)
    with pytest.raises(AssertionError, match="closed"):
        context.forget(0)
