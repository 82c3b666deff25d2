"""`python -m bench.determinism`: the cost of reproducible requests. Prints tokens per second with and without them.

Both kinds run in this process in turn, for several rounds. The ratio is that of each round.
"""

import statistics
import tempfile
import time
from pathlib import Path

from oruel.engine.engine import Engine
from oruel.engine.protocol import Submit
from oruel.engine.scheduler import StepLimits
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.types import SamplingParams
from tests.gguf_models import Shape, byte_level, write_model

BUNDLED = Path(__file__).parents[1] / "src" / "oruel" / "models" / "oruel-demo.gguf"
MEDIUM = Shape("llama", width=896, layers=8, heads=14, key_value_heads=2, head_width=64, hidden=4864)
PROMPT_TOKENS, ANSWER_TOKENS, ROUNDS = 128, 64, 5


def tokens_per_second(model: Model, streams: int, sampling: SamplingParams) -> float:
    """Tokens of prompts and answers per second, with `streams` concurrent requests that share no prefix."""
    sequences = max(2, streams)
    with Context(model, window=512, sequences=sequences, batch=512, threads=2) as context:
        engine = Engine(context, StepLimits(streams), vocabulary_size=model.vocabulary.size, is_end=lambda token: False)
        for number in range(streams):
            prompt = [number + 1] + [(7 * number + place) % 300 for place in range(PROMPT_TOKENS - 1)]
            engine.submit(Submit(number, prompt, 0, ANSWER_TOKENS, sampling), number)
        start = time.perf_counter()
        while engine.has_work:
            engine.step()
        return streams * (PROMPT_TOKENS + ANSWER_TOKENS) / (time.perf_counter() - start)


def measure(name: str, model: Model, streams: int) -> None:
    invariant, free = [], []
    for _ in range(ROUNDS):
        invariant.append(tokens_per_second(model, streams, SamplingParams(temperature=0)))
        free.append(tokens_per_second(model, streams, SamplingParams(temperature=0, reproducible=False)))
    ratios = [one / other for one, other in zip(invariant, free, strict=True)]
    print(
        f"{name}, {streams} streams: {statistics.median(invariant):.0f} tokens/s, free {statistics.median(free):.0f}; "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_model(Path(folder) / "medium.gguf", MEDIUM, byte_level(size=32000), half=True, seed=5)
        for name, file in (("bundled model", BUNDLED), ("140M parameters, F16", path)):
            with Model(file) as model:
                for streams in (1, 8, 32):
                    measure(name, model, streams)


if __name__ == "__main__":
    main()
