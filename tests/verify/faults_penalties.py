"""Planted defects of the three penalties."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from oruel.types import ChatRequest, SamplingParams
from tests.verify.planted import planted, with_sampling
from tests.verify.toy_model import Logits, Prompt
from tests.verify.toy_server import ToyServer


@planted("repetition_penalty.prompt", "the prompt is counted")
class PromptCounted(ToyServer):
    """vLLM (repetition), TGI, transformers serve, Fireworks."""

    def counted(self, prompt: Prompt, output: Sequence[int]) -> Sequence[int]:
        return [*prompt.ids, *output]


@planted("frequency_penalty.window", "only the last 64 tokens count")
class WindowOf64(ToyServer):
    """llama.cpp and Ollama count the last 64 tokens only."""

    def counted(self, prompt: Prompt, output: Sequence[int]) -> Sequence[int]:
        return output[-64:]


@planted("frequency_penalty", "it counts presence only")
class FrequencyAsPresence(ToyServer):
    def penalise(self, logits: Logits, counted: Sequence[int], params: SamplingParams) -> Logits:
        return super().penalise(logits, sorted(set(counted)), params)


@planted("presence_penalty", "it counts occurrences")
class PresenceAsFrequency(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        sampling = request.sampling
        both = sampling.frequency_penalty + sampling.presence_penalty
        return with_sampling(request, frequency_penalty=both, presence_penalty=0.0)


@planted("presence_penalty", "sign")
class PresenceFlipped(ToyServer):
    """Added where it should be subtracted."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, presence_penalty=-request.sampling.presence_penalty)


@planted("frequency_penalty", "sign")
class FrequencyFlipped(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, frequency_penalty=-request.sampling.frequency_penalty)


@planted("frequency_penalty", "ignored")
class FrequencyIgnored(ToyServer):
    """transformers serve turns it into a repetition penalty; early servers dropped it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, frequency_penalty=0.0)


@planted("presence_penalty", "ignored")
class PresenceIgnored(ToyServer):
    """transformers serve."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, presence_penalty=0.0)


@planted("presence_penalty", "it multiplies logits, as repetition_penalty does")
class PresenceAsRepetition(ToyServer):
    """TGI: repetition_penalty = presence_penalty + 2."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        presence = request.sampling.presence_penalty
        return with_sampling(request, repetition_penalty=presence + 2, presence_penalty=0.0) if presence else request


@planted("frequency_penalty", "it is divided by the length of the output")
class FrequencyDiluted(ToyServer):
    """TGI in batches: the count divided by the length of the output."""

    def penalise(self, logits: Logits, counted: Sequence[int], params: SamplingParams) -> Logits:
        share = params.frequency_penalty / len(counted)
        return super().penalise(logits, counted, replace(params, frequency_penalty=share))


@planted("repetition_penalty", "ignored")
class RepetitionIgnored(ToyServer):
    """llama.cpp reads repeat_penalty only; Ollama drops it."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, repetition_penalty=1.0)


@planted("repetition_penalty", "negative")
class RepetitionDividesNegative(ToyServer):
    """The parameter page read literally: a repeat with a negative logit becomes more probable."""

    def penalise(self, logits: Logits, counted: Sequence[int], params: SamplingParams) -> Logits:
        logits = logits.copy()
        for token, count in Counter(counted).items():
            logits[token] /= params.repetition_penalty
            logits[token] -= params.frequency_penalty * count + params.presence_penalty
        return logits


@planted("repetition_penalty", "twice")
class RepetitionTwice(ToyServer):
    """sglang-omni#1360: applied twice, so that it is squared."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return with_sampling(request, repetition_penalty=request.sampling.repetition_penalty**2)


@planted("repetition_penalty", "each time")
class RepetitionPerOccurrence(ToyServer):
    """Applied once for each occurrence, not once for each distinct token."""

    def penalise(self, logits: Logits, counted: Sequence[int], params: SamplingParams) -> Logits:
        for token in counted:
            logits = super().penalise(logits, [token], params)
        return logits
