"""llama.cpp's samplers, called as its server calls them: penalties, top_k, top_p, min_p, temperature, the draw."""

from collections.abc import Sequence
from typing import Any

import cffi

from oruel.llama.context import Context
from oruel.llama.library import load_library
from oruel.types import SamplingParams

DECLARATIONS = """
typedef struct { bool no_perf; } llama_sampler_chain_params;
typedef struct llama_sampler llama_sampler;
llama_sampler *llama_sampler_chain_init(llama_sampler_chain_params params);
void llama_sampler_chain_add(llama_sampler *chain, llama_sampler *sampler);
llama_sampler *llama_sampler_init_penalties(
    int32_t n_vocab, int32_t last, float repeat, float frequency, float presence);
llama_sampler *llama_sampler_init_top_k(int32_t k);
llama_sampler *llama_sampler_init_top_p(float p, size_t min_keep);
llama_sampler *llama_sampler_init_min_p(float p, size_t min_keep);
llama_sampler *llama_sampler_init_temp(float t);
llama_sampler *llama_sampler_init_dist(uint32_t seed);
void llama_sampler_accept(llama_sampler *sampler, int32_t token);
int32_t llama_sampler_sample(llama_sampler *sampler, void *context, int32_t row);
void llama_sampler_free(llama_sampler *sampler);
"""
LAST_TOKENS = 512


class Chain:
    """Samples from the logits that `context` computed last, as llama.cpp's server does: fills an array of candidates,
    applies the samplers, and passes the token to the samplers that count tokens.
    """

    def __init__(self, params: SamplingParams, context: Context, output: Sequence[int]) -> None:
        self._ffi: Any = cffi.FFI()
        self._ffi.cdef(DECLARATIONS)
        self._lib: Any = self._ffi.dlopen(str(load_library().path))
        self._vocabulary = context.model.vocabulary.size
        self._context = self._ffi.cast("void *", int(context.model.library.ffi.cast("intptr_t", context.pointer)))
        chain_params = self._ffi.new("llama_sampler_chain_params *", {"no_perf": True})
        self._chain = self._lib.llama_sampler_chain_init(chain_params[0])
        for sampler in self._samplers(params):
            self._lib.llama_sampler_chain_add(self._chain, sampler)
        for token in output:
            self._lib.llama_sampler_accept(self._chain, token)

    def _samplers(self, params: SamplingParams) -> list[Any]:
        lib = self._lib
        penalties = params.repetition_penalty, params.frequency_penalty, params.presence_penalty
        return [
            *(
                [lib.llama_sampler_init_penalties(self._vocabulary, LAST_TOKENS, *penalties)]
                if penalties != (1, 0, 0)
                else []
            ),
            *([lib.llama_sampler_init_top_k(params.top_k)] if params.top_k else []),
            *([lib.llama_sampler_init_top_p(params.top_p, 1)] if params.top_p < 1 else []),
            *([lib.llama_sampler_init_min_p(params.min_p, 1)] if params.min_p else []),
            lib.llama_sampler_init_temp(params.temperature),
            lib.llama_sampler_init_dist(1),
        ]

    def sample(self) -> int:
        return int(self._lib.llama_sampler_sample(self._chain, self._context, -1))

    def close(self) -> None:
        self._lib.llama_sampler_free(self._chain)
