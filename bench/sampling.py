"""Sampling one token from a vocabulary of 151,936: the endpoint's samplers vs. llama.cpp's, in µs."""

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench import models
from bench.llama_sampling import Chain
from bench.row import Row
from oruel.llama.context import Context
from oruel.llama.model import Model
from oruel.sampling.sampler import Sampler
from oruel.sampling.traced_sampler import TracedSampler
from oruel.types import SamplingParams

VOCABULARY, GENERATED = 151_936, 500
REPEATS = 20
FREE = SamplingParams(temperature=0.7)
TOP = replace(FREE, top_k=50, top_p=0.9, min_p=0.05)
PENALTIES = replace(FREE, repetition_penalty=1.1, frequency_penalty=0.3, presence_penalty=0.2)
SETTINGS = {
    "temperature": FREE,
    "temperature, top_p": replace(FREE, top_p=0.9),
    "top_k, top_p, min_p": TOP,
    "penalties, top_k, top_p, min_p": replace(PENALTIES, top_k=50, top_p=0.9, min_p=0.05),
    "penalties, temperature, top_p": replace(PENALTIES, top_p=0.9),
}
ALL = replace(SETTINGS["penalties, top_k, top_p, min_p"], logit_bias=dict.fromkeys(range(8), -1.0))


def rows(rounds: int) -> Iterator[Row]:
    """Both samplers read the same logits, in the library's own buffer."""
    random = np.random.default_rng(3)
    output = [int(token) for token in random.integers(0, VOCABULARY, GENERATED)]
    flat = (2.5 * random.standard_normal(VOCABULARY)).astype(np.float32)
    peaked = flat + np.where(random.random(VOCABULARY) < 1e-4, np.float32(12), np.float32(0))
    with Model(models.wide_model()) as model, Context(model, window=256, sequences=1, batch=8, threads=1) as context:
        logits = writable(context.decode([1], [0], [0], [True])[0])
        for shape, values in (("flat", flat), ("peaked", peaked)):
            logits[:] = values
            for name, params in SETTINGS.items():
                yield compare_with_llama(f"sampling, {name}, {shape}", params, logits, context, output, rounds)
        yield compare_with_argmax(logits, output, rounds)
        yield compare_with_untraced(logits, output, rounds)


def writable(row: NDArray[np.float32]) -> NDArray[np.float32]:
    """A writable view of the same memory, which belongs to the context."""
    pointer = ctypes.cast(row.ctypes.data, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(pointer, row.shape)


def compare_with_llama(
    name: str, params: SamplingParams, logits: NDArray[np.float32], context: Context, output: list[int], rounds: int
) -> Row:
    sampler = sampler_after(params, output)
    ours, theirs = [], []
    with closing(Chain(params, context, output)) as chain:
        for _ in range(rounds):
            ours.append(microseconds(lambda: sampler.sample(logits)))
            theirs.append(microseconds(chain.sample))
    return Row(name, "µs", ours, theirs, target=1.0)


def compare_with_argmax(logits: NDArray[np.float32], output: list[int], rounds: int) -> Row:
    sampler = sampler_after(ALL, output)
    ours, argmax = [], []
    for _ in range(rounds):
        ours.append(microseconds(lambda: sampler.sample(logits)))
        argmax.append(microseconds(lambda: logits.argmax()))
    return Row("sampling, all parameters, peaked, vs. NumPy's argmax", "µs", ours, argmax, target=0.1)


def compare_with_untraced(logits: NDArray[np.float32], output: list[int], rounds: int) -> Row:
    """The price of a trace with five leading candidates."""
    plain, explains = sampler_after(ALL, output), TracedSampler(ALL, 0, VOCABULARY, None, 5)
    for token in output:
        explains.accept(token)
    traced, untraced = [], []
    for _ in range(rounds):
        traced.append(microseconds(lambda: explains.trace(explains.sample(logits), logits)))
        untraced.append(microseconds(lambda: plain.sample(logits)))
    return Row("sampling, all parameters, traced vs. untraced", "µs", traced, untraced)


def sampler_after(params: SamplingParams, output: list[int]) -> Sampler:
    sampler = Sampler(params, 0, VOCABULARY)
    for token in output:
        sampler.accept(token)
    return sampler


def microseconds(timed: Callable[[], object]) -> float:
    """The mean time of REPEATS calls."""
    start = time.perf_counter()
    for _ in range(REPEATS):
        timed()
    return 1e6 * (time.perf_counter() - start) / REPEATS
