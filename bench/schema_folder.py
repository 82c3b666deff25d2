"""Documents for the schemas of a folder, such as the data of github.com/guidance-ai/jsonschemabench.

python -m bench.schema_folder data [--each 60]: as many schemas of each subfolder, evenly spread by name.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.schema_answers import MAX_TOKENS, Answer, Outcome
from bench.schema_kinds import Sample
from bench.schemas import CONTEXT, Served
from bench.servers import Setting, oruel_server
from oruel.constraints.closing.first_end import first_end_search
from oruel.constraints.spec import schema_spec
from oruel.constraints.tokens import TokenTable
from oruel.llama.model import Model

DEMO = Path(__file__).parents[1] / "src" / "oruel" / "models" / "oruel-demo.gguf"


def samples(folder: Path, each: int) -> Iterator[Sample]:
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(part.glob("*.json"))
        for place in range(min(each, len(files))):
            file = files[place * len(files) // each]
            yield Sample(f"{part.name}/{file.stem}", json.loads(file.read_text()), None)


class Shortest:
    """How many tokens of a model the shortest known document of a schema has."""

    def __init__(self, model: Model) -> None:
        self._tokens = TokenTable(model.vocabulary)

    def of(self, sample: Sample) -> int | None:
        found = first_end_search(self._tokens, schema_spec(sample.schema)).find()
        return None if found is None else len(found)


def said(sample: Sample, answer: Answer, shortest: Shortest) -> str:
    """What became of a request without a valid document."""
    if answer.outcome is Outcome.UNCLOSED:
        return f"{sample.name}: {answer.outcome}; the shortest known document has {shortest.of(sample)} tokens"
    return f"{sample.name}: {answer.outcome}: {answer.detail[:200]}"


def answers(folder: Path, each: int, path: Path) -> Iterator[tuple[Sample, Answer]]:
    """Prints what became of each request without a valid document."""
    start = partial(oruel_server, Setting(path, threads=None, parallel=1, context=CONTEXT))
    with Model(path, vocabulary_only=True) as model, Served("Oru'el", start, "bench") as server:
        shortest = Shortest(model)
        for sample in samples(folder, each):
            server.ask(sample)
            answer = server.record.answers[-1]
            if answer.outcome is not Outcome.VALID:
                print(said(sample, answer, shortest), flush=True)
            yield sample, answer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.schema_folder", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=60, help="schemas of each subfolder (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=DEMO, help="a GGUF file (default: the demo model)")
    options = parser.parse_args()
    counts: dict[str, Counter[Outcome]] = defaultdict(Counter)
    for sample, answer in answers(options.folder, options.each, options.model):
        counts[sample.name.partition("/")[0]][answer.outcome] += 1
    for part, outcomes in {**counts, "all": sum(counts.values(), Counter())}.items():
        print(f"{part}, at most {MAX_TOKENS} tokens: {', '.join(f'{count} {one}' for one, count in outcomes.items())}")


if __name__ == "__main__":
    main()
