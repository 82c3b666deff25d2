"""The plugin's sampler for 64 rows of 151,936 logits: its kernels on the device, and the time of a step, in µs.

python -m bench.torch_sampling --device cuda
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from oruel_vllm.batch_sampler import PlacedStep, keep_only
from oruel_vllm.row_step import ChangedTokens, RowStep
from oruel_vllm.step import TokenSampler, sampler_for

from oruel.types import SamplingParams

ROWS, VOCABULARY, GENERATED = 64, 151_936, 500
WARM, REPEATS = 5, 30
FREE = SamplingParams(temperature=0.7)
FILTERS = replace(FREE, top_k=50, top_p=0.9, min_p=0.05)
PENALTIES = replace(FREE, repetition_penalty=1.1, frequency_penalty=0.3, presence_penalty=0.2)
SETTINGS = {
    "greedy": SamplingParams(temperature=0.0),
    "temperature": FREE,
    "temperature, top_p": replace(FREE, top_p=0.9),
    "temperature, min_p": replace(FREE, min_p=0.05),
    "top_k, top_p, min_p": FILTERS,
    "penalties, temperature": PENALTIES,
    "penalties, top_p": replace(PENALTIES, top_p=0.9),
    "all parameters": replace(PENALTIES, top_k=50, top_p=0.9, min_p=0.05, logit_bias=dict.fromkeys(range(8), -1.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", default="", help="settings whose name contains this")
    parser.add_argument("--profile", action="store_true", help="list the kernels of each setting")
    given = parser.parse_args()
    device = torch.device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{ROWS} rows of {VOCABULARY} logits, {GENERATED} generated tokens, on {name}, torch {torch.__version__}")
    sampler = sampler_for(device)
    for shape, logits in logits_of(device):
        masked = logits.clone()
        for setting, params in SETTINGS.items():
            if given.only in setting:
                steps = steps_of(params)
                print(
                    f"{shape}, {setting}: {measured(partial(step, sampler, logits, masked, steps), device)}", flush=True
                )
                if given.profile and device.type == "cuda":
                    events = kernels(partial(step, sampler, logits, masked, steps))
                    print(events.table(sort_by="cuda_time_total", row_limit=14))
    constrained = steps_of(SETTINGS["all parameters"], masked=True)
    print(
        f"peaked, all parameters, constrained: {measured(partial(step, sampler, logits, masked, constrained), device)}"
    )


def logits_of(device: torch.device) -> Iterator[tuple[str, torch.Tensor]]:
    """Logits as spread as no language model has them, and some with a few likely tokens."""
    random = np.random.default_rng(3)
    flat = (2.5 * random.standard_normal((ROWS, VOCABULARY))).astype(np.float32)
    peaked = flat + np.where(random.random(flat.shape) < 1e-4, np.float32(12), np.float32(0))
    yield "flat", torch.from_numpy(flat).to(device)
    yield "peaked", torch.from_numpy(peaked).to(device)


def steps_of(params: SamplingParams, *, masked: bool = False) -> list[PlacedStep]:
    random = np.random.default_rng(5)
    mask = random.integers(0, 256, VOCABULARY // 8, np.uint8) if masked else None
    steps = []
    for row in range(ROWS):
        changed = ChangedTokens(params.logit_bias)
        for token in random.integers(0, VOCABULARY, GENERATED).tolist():
            changed.count(token)
        has_changed = params.logit_bias or params.frequency_penalty
        steps.append(PlacedStep(row, RowStep(params, float(random.random()), changed if has_changed else None, mask)))
    return steps


def step(sampler: TokenSampler, logits: torch.Tensor, masked: torch.Tensor, steps: list[PlacedStep]) -> None:
    """`masked` takes what vLLM would choose from, so that the logits stay as they are for the next step."""
    keep_only(masked, [placed.index for placed in steps], sampler.choose(logits, steps))


def measured(work: Callable[[], None], device: torch.device) -> str:
    for _ in range(WARM):
        work()
    synchronise(device)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(1e6 * (time.perf_counter() - start))
    whole = f"{statistics.median(times):,.0f} µs a step ({min(times):,.0f} to {max(times):,.0f})"
    if device.type != "cuda":
        return whole
    events = [event for event in kernels(work) if str(event.device_type).endswith("CUDA")]
    busy = sum(event.self_device_time_total for event in events)
    return f"{whole}, of which {busy:,.0f} µs in {sum(event.count for event in events)} kernels and copies"


def kernels(work: Callable[[], None]) -> "torch.autograd.profiler.EventList":
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        work()
        torch.cuda.synchronize()
    return profile.key_averages()


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
