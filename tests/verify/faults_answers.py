"""Planted defects of the text's end: stop sequences, length, usage, n, tier, and what clients' disconnects do."""

from collections.abc import Iterator
from dataclasses import replace

from oruel.errors import ContextLengthExceeded
from oruel.types import ChatRequest
from tests.verify.planted import planted
from tests.verify.toy_choice import Json, Piece, StopReader
from tests.verify.toy_model import CONTEXT, Prompt
from tests.verify.toy_server import Gone, ToyServer


class ReturningReader(StopReader):
    def read(self, text: str) -> tuple[str, bool]:
        sent, stopped = super().read(text)
        if not stopped:
            return sent, False
        rest = self.held[len(sent) :]
        return sent + next(stop for stop in self.stops if rest.startswith(stop)), True


@planted("stop", "the stop text is returned")
class StopReturned(ToyServer):
    """TGI."""

    stop_reader = ReturningReader


class BoundaryReader(StopReader):
    """Compares the end of the text after each token."""

    def read(self, text: str) -> tuple[str, bool]:
        self.held += text
        found = [stop for stop in self.stops if self.held.endswith(stop)]
        if found:
            return self.held[: len(self.held) - max(map(len, found))], True
        longest = max(map(len, self.stops), default=1) - 1
        sent = self.held[: max(0, len(self.held) - longest)]
        self.held = self.held[len(sent) :]
        return sent, False


@planted("stop.across_tokens", "ignored")
class StopAtTokenEnds(ToyServer):
    """TGI's pattern ends with the text so far, and misses a stop sequence that ends inside a token."""

    stop_reader = BoundaryReader


class EagerReader(StopReader):
    """Holds no text back."""

    def read(self, text: str) -> tuple[str, bool]:
        sent, self.held = len(self.held), self.held + text
        starts = [self.held.find(stop) for stop in self.stops if stop in self.held]
        return (self.held[sent : min(starts)], True) if starts else (text, False)

    def rest(self) -> str:
        return ""


class EagerStreams(ToyServer):
    stop_reader = EagerReader


@planted("stop.stream", "a part of the stop text is returned")
class StopLeaksInStreams(ToyServer):
    """TGI#1254, sglang#11462: no text is held back."""

    in_streams = EagerStreams


class ForgetfulReader(StopReader):
    def rest(self) -> str:
        return ""


@planted("stop.near_miss", "is lost")
class HeldTextLost(ToyServer):
    """What was held back isn't sent at the end: smg#2203."""

    stop_reader = ForgetfulReader


@planted("stop.four", "the text ends only after the stop text")
class FirstStopOnly(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, stop=request.stop[:1])


@planted("stop", "ignored: the text goes on after the stop text")
class StopIgnored(ToyServer):
    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, stop=())


@planted("stop.finish_reason", "finish_reason is length, not stop when the last token")
class StopFinishesAsLength(ToyServer):
    """Where the last token allowed completes the stop sequence, length wins."""

    def pieces(self, request: ChatRequest, prompt: Prompt, choice: int) -> Iterator[Piece]:
        for count, piece in enumerate(super().pieces(request, prompt, choice), 1):
            if piece.finish == "stop" and request.stop and count == self.limit(request, prompt):
                piece.finish = "length"
            yield piece


@planted("max_tokens", "1 gives 2 tokens")
class OneTokenMore(ToyServer):
    def limit(self, request: ChatRequest, prompt: Prompt) -> int:
        return super().limit(request, prompt) + 1


@planted("max_tokens", "ignored")
class LengthIgnored(ToyServer):
    def limit(self, request: ChatRequest, prompt: Prompt) -> int:
        return min(60, super().limit(replace(request, max_tokens=None), prompt))


@planted("max_tokens.finish_reason", "finish_reason is stop, not length")
class LengthFinishesAsStop(ToyServer):
    def choice(self, request: ChatRequest, index: int, pieces: list[Piece]) -> Json:
        return super().choice(request, index, pieces) | {"finish_reason": "stop"}


@planted("max_tokens.above_context", "refused")
class OverflowRefused(ToyServer):
    """SGLang refuses a max_tokens above the room left, and Together by default."""

    def check_room(self, request: ChatRequest, prompt: Prompt) -> None:
        super().check_room(request, prompt)
        if request.max_tokens and request.max_tokens + len(prompt.ids) > CONTEXT:
            raise ContextLengthExceeded("max_tokens exceeds the room left in the context.", param="max_tokens")


@planted("max_tokens.overfull_context", "cut in silence")
class OverfullPromptCut(ToyServer):
    """Ollama drops the beginning of a prompt that doesn't fit."""

    def check_room(self, request: ChatRequest, prompt: Prompt) -> None:
        pass

    def limit(self, request: ChatRequest, prompt: Prompt) -> int:
        return max(1, super().limit(request, prompt))


@planted("usage.completion", "completion_tokens is 1 too high")
class UsageOneMore(ToyServer):
    """completion_tokens counts one token too many."""

    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        return super().usage(prompt, completion_tokens + 1)


@planted("usage.prompt", "prompt_tokens is 1 too low")
class PromptUsageOneLess(ToyServer):
    """prompt_tokens leaves out the first token."""

    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        return super().usage(replace(prompt, ids=prompt.ids[1:]), completion_tokens)


@planted("usage.total", "total_tokens isn't the sum")
class TotalIsWrong(ToyServer):
    """total_tokens is the sum over the choices of prompt and completion."""

    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        usage = super().usage(prompt, completion_tokens)
        return usage | {"total_tokens": usage["total_tokens"] + 1}


@planted("usage.cached", "more tokens are cached than the prompt has")
class MoreCachedThanSent(ToyServer):
    def usage(self, prompt: Prompt, completion_tokens: int) -> Json:
        cached = {"cached_tokens": len(prompt.ids) + 16}
        return super().usage(prompt, completion_tokens) | {"prompt_tokens_details": cached}


@planted("n", "ignored: there is a single choice")
class ChoicesIgnored(ToyServer):
    """TGI and Ollama accept n and send one choice."""

    def adjusted(self, request: ChatRequest) -> ChatRequest:
        return replace(request, n=1)


@planted("tier", "the answer doesn't say which tier served")
class TierNotEchoed(ToyServer):
    def head(self, request: ChatRequest, kind: str) -> Json:
        head = super().head(request, kind)
        del head["tier"]
        return head


@planted("tier", "turbo is answered by another tier")
class TierAlwaysStandard(ToyServer):
    """Accepts turbo, and says that standard served."""

    def head(self, request: ChatRequest, kind: str) -> Json:
        return super().head(request, kind) | {"tier": "standard"}


@planted("stream.disconnect", "a disconnect doesn't free the place")
class DisconnectIgnored(ToyServer):
    """The place of a client that went away stays taken until its text is complete."""

    def goes_on(self, gone: Gone) -> bool:
        return True


@planted("usage.n", "completion_tokens isn't the sum over the choices")
class UsageOfOneChoice(ToyServer):
    def reply(self, request: ChatRequest, prompt: Prompt, choices: list[list[Piece]]) -> Json:
        return super().reply(request, prompt, choices) | {"usage": self.usage(prompt, len(choices[0]))}
