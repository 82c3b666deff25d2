"""Planted defects of filters, temperature and hidden defaults, seeds and log-probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from oruel.api.chat.body import ChatCall
from oruel.types import ChatRequest, SamplingParams
from tests.verify.planted import planted, with_sampling
from tests.verify.toy_choice import Json
from tests.verify.toy_model import PIECES, Logits, Prompt, logits_in, state_after
from tests.verify.toy_server import ToyServer


@planted("top_k", "ignored")
class TopKDropped(ToyServer):
    """Ollama and TGI's chat drop it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, top_k=0)


@planted("top_k", "one token too many survives")
class TopKOffByOne(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        top_k = request.sampling.top_k
        return with_sampling(request, top_k=top_k + 1 if top_k > 1 else top_k)


@planted("top_p", "ignored")
class TopPDropped(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, top_p=1.0)


@planted("top_p", "it stops before the token that crosses the share")
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


@planted("min_p", "the threshold is absolute")
class MinPAbsolute(ToyServer):
    """Discards p < min_p, not p < min_p × p_max."""

    def apply(self, step: str, kept: Logits, params: SamplingParams) -> Logits:
        if step != "min_p":
            return super().apply(step, kept, params)
        weights = np.exp(kept - kept[0])
        return kept[: max(1, np.count_nonzero(weights >= params.min_p * weights.sum()))]


@planted("top_p.after_top_k", "differs: top_p counts the probabilities before top_k")
class TopPFirst(ToyServer):
    """SGLang applies both to the whole distribution, which keeps the same tokens."""

    order = ("temperature", "top_p", "top_k", "min_p")


@planted("min_p.beside_top_p", "min_p acts first, and top_p on what it left")
class MinPFirst(ToyServer):
    """vLLM applies min_p before top_k and top_p, so that top_p is a share of what min_p kept."""

    order = ("temperature", "min_p", "top_k", "top_p")


@planted("temperature.before_top_p", "temperature acts after top_p")
class TemperatureLast(ToyServer):
    """llama.cpp and Ollama."""

    order = ("top_k", "top_p", "min_p", "temperature")


@planted("temperature.above_one", "clamped to 1")
class TemperatureClamped(ToyServer):
    """Together documents temperatures up to 1."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, temperature=min(request.sampling.temperature, 1.0))


@planted("temperature", "it acts as 0.7")
class TemperatureIgnored(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        temperature = request.sampling.temperature
        return with_sampling(request, temperature=0.7 if temperature else 0.0)


@planted("temperature.zero", "a token is chosen that isn't the most probable")
class ZeroIsUnset(ToyServer):
    """Reads 0 as absent, as `temperature or 0.7` does."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, temperature=request.sampling.temperature or 0.7)


class HiddenDefault(ToyServer):
    default: tuple[str, float]

    def read(self, body: Any) -> ChatCall:
        name, value = self.default
        return super().read({name: value, **body} if isinstance(body, dict) else body)


@planted("defaults.top_k", "top_k 40 acts")
class HiddenTopK(HiddenDefault):
    """llama.cpp and Ollama."""

    default = ("top_k", 40)


@planted("defaults.filters", "min_p 0.05 acts")
class HiddenMinP(HiddenDefault):
    """llama.cpp."""

    default = ("min_p", 0.05)


@planted("defaults.filters", "top_p 0.95 acts")
class HiddenTopP(HiddenDefault):
    """llama.cpp."""

    default = ("top_p", 0.95)


@planted("defaults.penalties", "a repetition penalty of 1.1 acts")
class HiddenRepetition(HiddenDefault):
    """llama-cpp-python's server."""

    default = ("repetition_penalty", 1.1)


@planted("temperature.zero", "as with a hidden penalty")
class RepetitionUnderAnotherName(ToyServer):
    """llama-cpp-python's server: only repeat_penalty changes the default, repetition_penalty isn't read."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, repetition_penalty=1.2)


@planted("defaults.temperature", "temperature 1 acts")
class OtherDefaultTemperature(HiddenDefault):
    """vLLM, OpenAI."""

    default = ("temperature", 1.0)


@planted("defaults.temperature", "temperature 0.6 acts")
class DefaultOf06(HiddenDefault):
    """Qwen3's own generation_config.json, which vLLM and SGLang follow."""

    default = ("temperature", 0.6)


@planted("defaults.temperature", "temperature 0.8 acts")
class DefaultOf08(HiddenDefault):
    """llama.cpp and Ollama."""

    default = ("temperature", 0.8)


@planted("defaults.temperature", "temperature 0.01 acts")
class DefaultOf0(HiddenDefault):
    """Some gateways ask for the most probable tokens."""

    default = ("temperature", 0.0)


@planted("seed", "ignored")
class SeedIgnored(ToyServer):
    """SGLang, unless it was started with deterministic inference."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return self.entropy.random()


@planted("seed.under_load", "the answer depends on what else is in flight")
class SeedShared(ToyServer):
    """One generator for the whole process, seeded by each request: transformers serve."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        if position == 0:
            self.entropy.seed(f"{seed} {choice}")
        return self.entropy.random()


@planted("seed.all_bits", "only the lower 32 bits of a seed count")
class SeedTruncated(ToyServer):
    """llama.cpp."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return super().uniform(seed % 2**32, choice, position)


@planted("stream", "with a seed, the text differs from the text unstreamed")
class SeedIgnoredInStreams(ToyServer):
    """A second code path for streams forgets the seed."""

    in_streams = SeedIgnored


@planted("seed.choices", "all choices are equal")
class IdenticalChoices(ToyServer):
    """The seed without the choice's number."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return super().uniform(seed, 0, position)


@planted("logprobs.before_parameters", "they are reported after temperature")
class LogprobsAfterTemperature(ToyServer):
    """vLLM with logprobs_mode processed; TGI."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        logits = logits_in(state_after(prompt, output)) / (request.sampling.temperature or 1.0)
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))


@planted("logprobs.before_parameters", "they are reported after logit_bias")
class LogprobsAfterBias(ToyServer):
    """The log-probabilities are those after logit_bias."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        logits = logits_in(state_after(prompt, output)).copy()
        for token, bias in request.sampling.logit_bias.items():
            logits[token] += bias
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))


@planted("logprobs.before_parameters", "they are reported after response_format")
class LogprobsAfterGrammar(ToyServer):
    """vLLM and SGLang report them after the mask of JSON mode."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        logits = logits_in(state_after(prompt, output)).copy()
        if request.answers_json and not output:
            logits[[not piece.startswith(b"{") for piece in PIECES]] = -9999.0
        shifted = logits - logits.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()))


@planted("logprobs.sum", "probabilities add up to")
class LogprobsInBase10(ToyServer):
    """Not natural."""

    def reported(self, request: ChatRequest, prompt: Prompt, output: Sequence[int]) -> Logits:
        return np.asarray(super().reported(request, prompt, output) / np.log(10))


@planted("logit_bias", "ignored")
class BiasIgnored(ToyServer):
    """TGI and Ollama accept and ignore it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, logit_bias={})


class EntryChanger(ToyServer):
    """Changes the entries of log-probabilities."""

    def logprobs(self, request: ChatRequest, prompt: Prompt, output: Sequence[int], token: int) -> list[Json]:
        return [self.changed(one, request) for one in super().logprobs(request, prompt, output, token)]

    def changed(self, one: Json, request: ChatRequest) -> Json:
        raise NotImplementedError


@planted("top_logprobs", "no log-probabilities without top_logprobs")
class TokensNeedTopLogprobs(ToyServer):
    """llama-cpp-python's server."""

    def logprobs(self, request: ChatRequest, prompt: Prompt, output: Sequence[int], token: int) -> list[Json]:
        return super().logprobs(request, prompt, output, token) if request.sampling.logprobs else []


@planted("top_logprobs", "1 entry fewer than asked for")
class OneEntryLess(EntryChanger):
    """The chosen token takes the place of an entry."""

    def changed(self, one: Json, request: ChatRequest) -> Json:
        return one | {"top_logprobs": one["top_logprobs"][:-1]}


@planted("logprobs.bytes", "bytes are missing")
class BytesMissing(EntryChanger):
    """Several engines send null."""

    def changed(self, one: Json, request: ChatRequest) -> Json:
        return one | {"bytes": None}


@planted("logprobs.chosen", "the chosen token has another value than its entry")
class ChosenAfterTemperature(EntryChanger):
    """The chosen token's value is divided by the temperature, the entries' aren't."""

    def changed(self, one: Json, request: ChatRequest) -> Json:
        return one | {"logprob": one["logprob"] / (request.sampling.temperature or 1.0)}


@planted("logprobs.order", "the entries aren't ordered, best first")
class EntriesByToken(EntryChanger):
    def changed(self, one: Json, request: ChatRequest) -> Json:
        return one | {"top_logprobs": sorted(one["top_logprobs"], key=lambda other: str(other["token"]))}


@planted("temperature.small", "it acts as 0.5")
class TemperatureFloor(ToyServer):
    """vLLM has a floor of 0.01, other servers higher ones."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        temperature = request.sampling.temperature
        return with_sampling(request, temperature=max(temperature, 0.5) if temperature else 0.0)


@planted("temperature", "log-probabilities are multiplied by it")
class TemperatureInverted(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        temperature = request.sampling.temperature
        return with_sampling(request, temperature=1 / temperature if temperature else 0.0)


@planted("temperature.before_min_p", "temperature acts after min_p")
class TemperatureAfterMinP(ToyServer):
    order = ("top_k", "min_p", "temperature", "top_p")


@planted("seed.unset", "without a seed, every answer is the same")
class SeedFixed(ToyServer):
    """SGLang's deterministic inference: 42 where none is given."""

    def with_seed(self, request: ChatRequest) -> ChatRequest:
        return request if request.sampling.reproducible else with_sampling(request, seed=42)


@planted("seed.differs", "different seeds give one answer")
class SeedConstant(ToyServer):
    """Every request uses the server's own seed."""

    def uniform(self, seed: int, choice: int, position: int) -> float:
        return super().uniform(42, choice, position)
