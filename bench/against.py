"""`python -m bench.against`: how many answers `oruel verify --against` needs to see that a model is quantised.

Serves the bundled model, a second time itself, and copies with 8-bit and 4-bit weights. Collects answers of each once,
then prints for every method how often random subsets of them, of growing size, show the difference.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.quantised import EIGHT_BITS, FOUR_BITS, write_quantised
from oruel.verify.against.answers import DRAWN_TOKENS, GREEDY_TOKENS, LOOKS, by_prompt, drawn_requests, found_parting
from oruel.verify.against.comparison import CHECKS
from oruel.verify.against.pair import Pair
from oruel.verify.against.probabilities import (
    AMBIGUOUS,
    ROUNDING,
    Quartet,
    first_token_requests,
    quartets,
    split_p_value,
)
from oruel.verify.against.prompts import PROMPTS
from oruel.verify.against.texts import Parting, observe_parting, parting_test
from oruel.verify.against.two_sample import TwoSampleTest
from oruel.verify.budget import Budget
from oruel.verify.endpoint import open_endpoint
from oruel.verify.probe import Other, Probe, user
from oruel.verify.profile import ORUEL
from oruel.verify.reply import Reply
from oruel.verify.runner import FALSE_ALARMS
from oruel.verify.survey import first_model, survey
from tests.server import oruel_serve

BUNDLED = Path(__file__).parents[1] / "src" / "oruel" / "models" / "oruel-demo.gguf"
ALPHA = FALSE_ALARMS / len(CHECKS)
SIZES = (2, 4, 8, 16, 23)
SEEDS = 4


@dataclass(frozen=True)
class Collected:
    """What two endpoints answered: log-probabilities and texts by prompt, and drawn answers of each by prompt."""

    quartets: list[Quartet]
    greedy: list[Parting]
    seeded: list[Parting]
    ours: list[list[str]]
    theirs: list[list[str]]


async def collect(pair: Pair) -> Collected:
    requests = first_token_requests(pair)
    probabilities = quartets(*await pair.ask_both(requests))
    fields = pair.neutral(temperature=0, max_tokens=GREEDY_TOKENS)
    greedy = await pair.ask_both([{"messages": user(prompt), **fields} for prompt in PROMPTS])
    fields = pair.neutral(temperature=1, max_tokens=DRAWN_TOKENS)
    seeded = await pair.ask_both([{"messages": user(p), **fields, "seed": s} for s in range(SEEDS) for p in PROMPTS])
    most = 2 * LOOKS[-1]
    drawn = await pair.ask(*(drawn_requests(pair, most, pair.neutral(temperature=1)) for _ in range(2)))
    return Collected(
        probabilities, partings(pair, *greedy), partings(pair, *seeded), *(by_prompt(pair, one) for one in drawn)
    )


def partings(pair: Pair, ours: Sequence[Reply], theirs: Sequence[Reply]) -> list[Parting]:
    return [found_parting(pair, one, other) for one, other in zip(ours, theirs, strict=True)]


@asynccontextmanager
async def open_pair(ours: str, theirs: str) -> AsyncIterator[Pair]:
    budget = Budget()
    async with open_endpoint(ours, "", None, budget) as one, open_endpoint(theirs, "", None, budget) as other:
        one.model, other.model = await first_model(one), await first_model(other)
        facts = await survey(one), await survey(other)
        yield Pair(Probe(one, facts[0], ORUEL, ALPHA, Random(1)), Other(other, facts[1]))


def probabilities_differ(found: Sequence[Quartet]) -> bool:
    mean = sum(one.divergence for one in found) / len(found)
    return mean > AMBIGUOUS and split_p_value(sum(one.is_split for one in found), len(found)) <= ALPHA


def probabilities_are_not_equal(found: Sequence[Quartet]) -> bool:
    return sum(one.divergence for one in found) / len(found) > ROUNDING


def texts_differ(found: Sequence[Parting]) -> bool:
    test = parting_test(ALPHA)
    for one in found:
        observe_parting(test, one)
        if test.is_decided:
            break
    return test.is_rejected


def answers_differ(collected: Collected, each: int, random: Random) -> bool:
    """With `each` answers to each prompt from both endpoints, by one look of the sequential test."""
    test = TwoSampleTest(ALPHA, len(LOOKS), random)
    for prompt, ours, theirs in zip(PROMPTS, collected.ours, collected.theirs, strict=True):
        test.observe(prompt, random.sample(ours, each), random.sample(theirs, each))
    return test.look()


def rate(trial: Callable[[], bool], repeats: int) -> str:
    return f"{100 * sum(trial() for _ in range(repeats)) / repeats:.0f} %"


def row(name: str, cells: Sequence[str]) -> None:
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def report(name: str, collected: Collected, repeats: int) -> None:
    random = Random(2)
    mean = sum(one.divergence for one in collected.quartets) / len(collected.quartets)
    print(f"\n{name}: mean divergence {mean:.2g} nats")
    row("prompts", [str(size) for size in SIZES])
    for method, found, differ in (
        ("log-probabilities: differ", collected.quartets, probabilities_differ),
        ("log-probabilities: not equal", collected.quartets, probabilities_are_not_equal),
        ("texts at temperature 0", collected.greedy, texts_differ),
        ("texts with the same seed", collected.seeded, texts_differ),
    ):
        sizes = [min(size, len(found)) for size in SIZES]
        row(method, [rate(lambda n=n, f=found, d=differ: d(random.sample(f, n)), repeats) for n in sizes])  # type: ignore[misc]  # mypy infers no lambda with defaults
    row("answers of each", [str(len(PROMPTS) * each) for each in LOOKS])
    fewer = max(10, repeats // 5)
    row("two-sample test", [rate(lambda n=n: answers_differ(collected, n, random), fewer) for n in LOOKS])  # type: ignore[misc]  # as above


async def measure(urls: Sequence[tuple[str, str]], reference: str, repeats: int) -> None:
    for name, url in urls:
        async with open_pair(reference, url) as pair:
            report(name, await collect(pair), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        files = {"the same file": options.model}
        for name, kind in (("8-bit (Q8_0)", EIGHT_BITS), ("4-bit (Q4_0)", FOUR_BITS)):
            files[name] = Path(folder) / f"{kind.name}.gguf"
            write_quantised(options.model, files[name], kind)
        reference = stack.enter_context(oruel_serve("--model", str(options.model))).url
        urls = [
            (name, f"{stack.enter_context(oruel_serve('--model', str(one))).url}/v1") for name, one in files.items()
        ]
        asyncio.run(measure(urls, f"{reference}/v1", options.repeats))


if __name__ == "__main__":
    main()
