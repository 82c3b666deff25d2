"""Planted defects of filters, temperature and hidden defaults, seeds and log-probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oruel.api.chat.body import ChatCall
from oruel.types import ChatRequest, SamplingParams
from tests.verify.planted import planted, with_sampling
from tests.verify.toy_model import Logits, Prompt, logits_in, state_after
from tests.verify.toy_server import ToyServer


@planted("top_k", "ignored")
class TopKDropped(ToyServer):
    """Ollama and TGI's chat drop it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, top_k=0)


@planted("top_k", "one more token is kept")
class TopKOffByOne(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        top_k = request.sampling.top_k
        return with_sampling(request, top_k=top_k + 1 if top_k > 1 else top_k)


@planted("top_p", "ignored")
class TopPDropped(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, top_p=1.0)


@planted("top_p", "the token that crosses top_p is dropped")
class TopPShort(ToyServer):
    """Keeps tokens while their cumulative probability is below top_p, without the one that crosses it."""

    def apply(self, step: str, kept: Logits, params: SamplingParams) -> Logits:
        left = super().apply(step, kept, params)
        return left[:-1] if step == "top_p" and 1 < len(left) < len(kept) else left


@planted("min_p", "ignored")
class MinPDropped(ToyServer):
    """Ollama drops it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, min_p=0.0)


@planted("min_p", "a threshold on the probability itself")
class MinPAbsolute(ToyServer):
    """Discards p < min_p, not p < min_p × p_max."""

    def apply(self, step: str, kept: Logits, params: SamplingParams) -> Logits:
        if step != "min_p":
            return super().apply(step, kept, params)
        weights = np.exp(kept - kept[0])
        return kept[: max(1, np.count_nonzero(weights >= params.min_p * weights.sum()))]


@planted("top_p.after_top_k", "before")
class TopPFirst(ToyServer):
    """SGLang applies both to the whole distribution, which keeps the same tokens."""

    order = ("temperature", "top_p", "top_k", "min_p")


@planted("min_p.beside_top_p", "min_p first")
class MinPFirst(ToyServer):
    """vLLM applies min_p before top_k and top_p, so that top_p is a share of what min_p kept."""

    order = ("temperature", "min_p", "top_k", "top_p")


@planted("temperature.before_top_p", "last")
class TemperatureLast(ToyServer):
    """llama.cpp and Ollama."""

    order = ("top_k", "top_p", "min_p", "temperature")


@planted("temperature", "clamped to 1")
class TemperatureClamped(ToyServer):
    """Together documents temperatures up to 1."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, temperature=min(request.sampling.temperature, 1.0))


@planted("temperature", "ignored")
class TemperatureIgnored(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        temperature = request.sampling.temperature
        return with_sampling(request, temperature=0.7 if temperature else 0.0)


@planted("temperature.zero", "not the most probable")
class ZeroIsUnset(ToyServer):
    """Reads 0 as absent, as `temperature or 0.7` does."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, temperature=request.sampling.temperature or 0.7)


class HiddenDefault(ToyServer):
    default: tuple[str, float]

    def read(self, body: Any) -> ChatCall:
        name, value = self.default
        return super().read({name: value, **body} if isinstance(body, dict) else body)


@planted("defaults", "top_k 40")
class HiddenTopK(HiddenDefault):
    """llama.cpp and Ollama."""

    default = ("top_k", 40)


@planted("defaults", "min_p 0.05")
class HiddenMinP(HiddenDefault):
    """llama.cpp."""

    default = ("min_p", 0.05)


@planted("defaults", "top_p 0.95")
class HiddenTopP(HiddenDefault):
    """llama.cpp."""

    default = ("top_p", 0.95)


@planted("defaults", "repetition")
class HiddenRepetition(HiddenDefault):
    """llama-cpp-python's server."""

    default = ("repetition_penalty", 1.1)


@planted("defaults", "temperature 1")
class OtherDefaultTemperature(HiddenDefault):
    """vLLM, OpenAI."""

    default = ("temperature", 1.0)


@planted("seed", "ignored")
class SeedIgnored(ToyServer):
    """SGLang, unless it was started with deterministic inference."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return self.entropy.random()


@planted("seed.under_load", "differ")
class SeedShared(ToyServer):
    """One generator for the whole process, seeded by each request: transformers serve."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        if position == 0:
            self.entropy.seed(f"{seed} {choice}")
        return self.entropy.random()


@planted("seed", "differ")
class SeedTruncated(ToyServer):
    """Keeps 16 bits of the seed. llama.cpp keeps 32."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return super().uniform(seed % 2**16, choice, position)


@planted("seed.streamed", "differ")
class SeedIgnoredInStreams(ToyServer):
    """A second code path for streams forgets the seed."""

    in_streams = SeedIgnored


@planted("n", "the same")
class IdenticalChoices(ToyServer):
    """The seed without the choice's number."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return super().uniform(seed, 0, position)


@planted("logprobs.before_parameters", "after temperature")
class LogprobsAfterTemperature(ToyServer):
    """vLLM with logprobs_mode processed; TGI."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        logits = logits_in(state_after(prompt, output)) / (request.sampling.temperature or 1.0)
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))


@planted("logprobs.before_parameters", "after the penalties")
class LogprobsAfterBias(ToyServer):
    """The log-probabilities are those after logit_bias."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        logits = logits_in(state_after(prompt, output)).copy()
        for token, bias in request.sampling.logit_bias.items():
            logits[token] += bias
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))


@planted("logprobs", "sum")
class LogprobsInBits(ToyServer):
    """Base 2 in place of e."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        return np.asarray(super().reported(request, prompt, output) / np.log(2))


@planted("logit_bias", "ignored")
class BiasIgnored(ToyServer):
    """TGI and Ollama accept and ignore it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, logit_bias={})
