"""`LIBLLAMA=… python -m bench.gpu_check`: checks a GPU build of libllama on this machine, in about five minutes.

Checks that it loads, that ten greedy answers equal the CPU's, and that a seeded answer is the same alone and among 31
other requests. Then compares its throughput with llama.cpp's server. Exits with status 1 if a check fails.
"""

import argparse
import json
import os
import statistics
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.prompts import Prompts
from bench.rounds import measure_in_turn
from bench.servers import ServerProcess, free_port, run_process, wait_until_healthy
from bench.throughput import Workload, measure
from tests.server import RunningServer, oruel_serve

DEMO = Path(__file__).parents[1] / "src" / "oruel" / "models" / "oruel-demo.gguf"
STREAMS = 32
CONTEXT = 1024
ANSWER_TOKENS = 48
ROUNDS = 3
TIMEOUT_SECONDS = 120
QUESTIONS = (
    *("What is the capital of France?", "Write a sentence about the sea.", "Count from one to ten.", "What is 7 + 5?"),
    *("Name three colours.", "Tell me a short story about a robot.", "What do bees make?", "Say hello in French."),
    *("Give me a list of five fruits.", "Explain why the sky is blue."),
)
LONGEST = QUESTIONS[5]  # has the longest answer
GREEDY = {"temperature": 0, "logprobs": True, "top_logprobs": 2}
SEEDED = {"temperature": 0.9, "seed": 42, "top_p": 0.95, "logprobs": True}


@dataclass(frozen=True, slots=True)
class Options:
    model: Path
    gpu_layers: int
    libllama: str | None
    llama_server: Path | None
    threads: int


@dataclass(frozen=True, slots=True)
class Token:
    """`alternatives` are log-probabilities, best first."""

    text: str
    logprob: float
    alternatives: Sequence[float]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    passed: bool
    detail: str


def main() -> None:
    options = parse_options()
    checks = []
    for check in run(options):
        print(f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.detail}", flush=True)
        checks.append(check)
    sys.exit(0 if all(check.passed for check in checks) else 1)


def parse_options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_check", description=__doc__)
    parser.add_argument("--model", type=Path, default=DEMO, help="a GGUF file to use instead of the bundled model")
    parser.add_argument("--gpu-layers", type=int, default=99, help="how many layers to offload; 0 checks a CPU build")
    parser.add_argument("--libllama", help="the library to load instead of LIBLLAMA")
    parser.add_argument(
        "--llama-server", type=Path, help="llama-server of the same build (default: the one in the wheel)"
    )
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="compute threads of all servers"
    )
    return Options(**vars(parser.parse_args()))


def run(options: Options) -> Iterator[Check]:
    try:
        with run_oruel(options, options.gpu_layers) as server:
            yield Check("loads", True, f"{options.model.name}, {options.gpu_layers} layers on the GPU")
            answers = [ask(server, question, **GREEDY) for question in QUESTIONS]
            yield from check_determinism(server)
    except AssertionError as error:
        yield Check("loads", False, str(error))
        return
    with run_oruel(options, gpu_layers=0) as server:
        yield check_greedy_answers(answers, [ask(server, question, **GREEDY) for question in QUESTIONS])
    yield measure_throughput(options)


@contextmanager
def run_oruel(options: Options, gpu_layers: int) -> Iterator[RunningServer]:
    """Runs Oru'el. Raises AssertionError with its output if it exits before it listens."""
    flags = ["--model", str(options.model), "--alias", "bench", "--threads", str(options.threads)]
    flags += ["--gpu-layers", str(gpu_layers), "--parallel", str(STREAMS), "--ctx", str(CONTEXT)]
    flags += ["--libllama", options.libllama] if options.libllama else []
    with oruel_serve(*flags) as server:
        yield server


def ask(server: RunningServer, question: str, **sampling: Any) -> list[Token]:
    message = {"role": "user", "content": question}
    body = {"model": "bench", "messages": [message], "max_tokens": ANSWER_TOKENS, **sampling}
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        tokens = json.load(answer)["choices"][0]["logprobs"]["content"]
    return [Token(one["token"], one["logprob"], [other["logprob"] for other in one["top_logprobs"]]) for one in tokens]


def check_determinism(server: RunningServer) -> Iterator[Check]:
    alone = [ask(server, LONGEST, **SEEDED) for _ in range(2)]
    yield Check("seeded answer the same when alone", alone[0] == alone[1], describe_difference(*alone))
    with ThreadPoolExecutor(STREAMS) as pool:
        others = [
            pool.submit(
                ask, server, QUESTIONS[number % len(QUESTIONS)] * (1 + number % 7), temperature=1, logprobs=True
            )
            for number in range(STREAMS - 1)
        ]
        among = pool.submit(ask, server, LONGEST, **SEEDED).result()
        for other in others:
            other.result()
    yield Check(
        f"seeded answer the same among {STREAMS - 1} others", among == alone[0], describe_difference(among, alone[0])
    )


def check_greedy_answers(ours: Sequence[list[Token]], reference: Sequence[list[Token]]) -> Check:
    pairs = [
        (number, one, other)
        for number, (one, other) in enumerate(zip(ours, reference, strict=True))
        if texts(one) != texts(other)
    ]
    detail = f"{len(ours) - len(pairs)} of {len(ours)} are equal"
    details = "; ".join(f"answer {number}: {describe_difference(one, other)}" for number, one, other in pairs)
    return Check("greedy answers equal to the CPU's", not pairs, f"{detail}{'; ' if details else ''}{details}")


def describe_difference(one: Sequence[Token], other: Sequence[Token]) -> str:
    """Describes where two answers diverge, and how close the second was to another token there."""
    if list(one) == list(other):
        return f"{len(one)} tokens with equal log-probabilities"
    place = next((p for p, (a, b) in enumerate(zip(one, other, strict=False)) if a.text != b.text), None)
    if place is None:
        apart = max((abs(a.logprob - b.logprob) for a, b in zip(one, other, strict=False)), default=0.0)
        return f"the same text, log-probabilities differ by up to {apart:.2g}"
    best = other[place].alternatives
    gap = f", where the best two differ by {best[0] - best[1]:.2g}" if len(best) > 1 else ""
    return f"they diverge at token {place}, {one[place].text!r} and {other[place].text!r}{gap}"


def texts(tokens: Sequence[Token]) -> list[str]:
    return [token.text for token in tokens]


def measure_throughput(options: Options) -> Check:
    """A measurement, which always passes."""
    load = Workload(STREAMS, prompt=128, answer=128)
    prompts = Prompts(options.model, seed=STREAMS)
    with run_oruel(options, options.gpu_layers) as server, llama_server(options) as theirs:
        ours = ServerProcess("oruel", int(server.url.rpartition(":")[2]), server.process.pid)
        speeds = measure_in_turn(ours, theirs, ROUNDS, lambda one, _: measure(one, prompts, load).speed)
    our, their = map(statistics.median, speeds)
    return Check(
        f"throughput, {STREAMS} streams", True, f"{our:.0f} tokens/s, llama.cpp's server {their:.0f}: {our / their:.2f}"
    )


@contextmanager
def llama_server(options: Options) -> Iterator[ServerProcess]:
    port = free_port()
    command = server_command(options, port) if options.llama_server else wheel_server_command(options, port)
    with run_process(command) as process:
        wait_until_healthy(port)
        yield ServerProcess("llama-server", port, process.pid)


def server_command(options: Options, port: int) -> list[str]:
    sizes = ["--threads", str(options.threads), "--parallel", str(STREAMS), "--ctx-size", str(STREAMS * CONTEXT)]
    place = ["--port", str(port), "--host", "127.0.0.1", "--n-gpu-layers", str(options.gpu_layers)]
    return [str(options.llama_server), "--model", str(options.model), *sizes, *place]


def wheel_server_command(options: Options, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "bench.llama_server", str(options.model), str(port), str(options.threads)),
        *(str(STREAMS), str(CONTEXT), str(options.gpu_layers)),
    ]


if __name__ == "__main__":
    main()
