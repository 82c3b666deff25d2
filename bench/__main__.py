"""`python -m bench`: compares the endpoint with llama.cpp's C++ server in one run on this machine. Prints a table with
the median ratio of the rounds and its 90% interval in each line, and at the end all results as one line of JSON.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from bench import (
    busy,
    capacity,
    choices,
    conversation,
    documents,
    models,
    overhead,
    pause,
    prefix,
    python_share,
    sampling,
    schemas,
    seeded,
    throughput,
    turbo,
    vllm,
)
from bench.row import Row
from bench.throughput import Workload

ROUNDS = 7
DEMO = Path(__file__).parents[1] / "src" / "oruel" / "models" / "oruel-demo.gguf"
Rows = Callable[[], Iterable[Row]]


def main() -> None:
    options = parse_options()
    start = time.perf_counter()
    print(f"{machine()}; {options.threads} threads; {options.rounds} rounds", flush=True)
    for streams in (1, 32):
        speed, cpu = capacity.measure(streams)
        print(
            f"load generator alone, {streams} streams: {speed:,.0f} chunks/s, {cpu:.3f} CPU s per 1,000 chunks",
            flush=True,
        )
    print(f"\n{'':78}{'Oru’el':>11}{'other':>11} {'':9}{'times better':>14}  90% interval", flush=True)
    rows = [print_row(row) for name, group in groups(options).items() if is_selected(name, options) for row in group()]
    missed = [row.name for row in rows if row.is_missed]
    print(
        f"\n{len(missed)} of {sum(row.target is not None for row in rows)} targets missed{': ' if missed else ''}",
        end="",
    )
    print("; ".join(missed))
    print(json.dumps({"machine": machine(), "seconds": time.perf_counter() - start, "rows": list(map(as_json, rows))}))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="paired rounds for each row")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="compute threads of both servers"
    )
    parser.add_argument("--model", type=Path, help="a GGUF file to use instead of the tiny random model")
    parser.add_argument("--only", nargs="+", metavar="GROUP", help="run only the groups whose names start with these")
    parser.add_argument("--full", action="store_true", help="include the slow groups")
    return parser.parse_args()


def groups(options: argparse.Namespace) -> dict[str, Rows]:
    """The row groups by name. A name with a trailing asterisk marks a slow group, which only `--full` includes."""
    small: Path = options.model or models.tiny_model()
    name = options.model.stem if options.model else "tiny"
    threads, rounds = options.threads, options.rounds

    def small_throughput(streams: int) -> Rows:
        return lambda: throughput.rows(name, small, threads, Workload(streams, prompt=128, answer=256), rounds)

    def large_throughput(streams: int) -> Rows:
        load = Workload(streams, prompt=64, answer=128)
        return lambda: throughput.rows("0.5B", models.half_billion_model(), threads, load, min(rounds, 5))

    return {
        **{f"throughput-{streams}": small_throughput(streams) for streams in (1, 8, 32, 128)},
        "prefix": lambda: prefix.rows(name, small, threads, rounds),
        "conversation": lambda: conversation.rows(name, small, threads, rounds),
        "pause": lambda: pause.rows(name, small, threads, answer=1500, rounds=rounds),
        "busy": lambda: busy.rows("demo", DEMO, answer=80, requests=10, rounds=rounds, goal=0.6),
        "turbo": lambda: turbo.rows(name, small, threads, answer=200, rounds=rounds),
        "seeded-1": lambda: seeded.rows(name, small, threads, streams=1, answer=256, rounds=rounds),
        "seeded-8": lambda: seeded.rows(name, small, threads, streams=8, answer=256, rounds=rounds),
        "documents-1": lambda: documents.document_rows("demo", DEMO, threads, streams=1, rounds=rounds),
        "documents-8": lambda: documents.document_rows("demo", DEMO, threads, streams=8, rounds=rounds),
        "mask": lambda: documents.mask_rows(models.wide_model(), rounds),
        "schemas*": lambda: schemas.rows(DEMO),
        "choices*": lambda: choices.rows(rounds),
        "overhead*": lambda: overhead.rows(min(rounds, 5)),
        "overhead-ledger*": lambda: overhead.ledger_rows(rounds),
        "sampling": lambda: sampling.rows(max(9, rounds)),
        **{f"large-throughput-{streams}": large_throughput(streams) for streams in (1, 8)},
        "large-python": lambda: python_share.rows(
            "0.5B", models.half_billion_model(), threads, streams=(1, 8, 32, 128), steps=5
        ),
        "large-tokens": lambda: documents.token_rows("0.5B", models.half_billion_model(), threads, rounds=5),
        "large-prefix": lambda: prefix.rows("0.5B", models.half_billion_model(), threads, rounds=2),
        "vllm*": lambda: vllm.rows(rounds),
        "busy-large": lambda: busy.rows(
            "0.5B", models.half_billion_model(), answer=48, requests=2, rounds=min(rounds, 5), goal=0.45
        ),
        "large-pause*": lambda: pause.rows("0.5B", models.half_billion_model(), threads, answer=200, rounds=3),
    }


def is_selected(name: str, options: argparse.Namespace) -> bool:
    if options.only:
        return any(name.startswith(prefix) for prefix in options.only)
    return bool(options.full) or not name.endswith("*")


def print_row(row: Row) -> Row:
    better = row.times_better
    ours, theirs = statistics.median(row.ours), statistics.median(row.theirs)
    target = f"  {'MISSED' if row.is_missed else 'target'} {row.target:g}" if row.target else ""
    print(
        f"{row.name:78}{ours:11,.2f}{theirs:11,.2f} {row.unit:9}{better.median:14.2f}  "
        f"{better.low:.2f} to {better.high:.2f}{target}",
        flush=True,
    )
    return row


def as_json(row: Row) -> dict[str, object]:
    return {**asdict(row), "times_better": asdict(row.times_better), "missed": row.is_missed}


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
