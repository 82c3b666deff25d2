"""Collects an answer as it arrives, and shows it in the terminal: text on stdout, everything else on stderr."""

import sys
from collections import defaultdict
from dataclasses import dataclass, field

from rich.console import Console

from oruel.cli.chat_client import ClientChunk, ClientTokenLogprob, ClientUsage

CONTROL_CHARACTERS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"
}


@dataclass
class ChatAnswer:
    """What the chunks have contained so far, by choice; calls by choice and index."""

    model: str = ""
    tier: str = ""
    texts: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    calls: dict[tuple[int, int], str] = field(default_factory=lambda: defaultdict(str))
    finishes: dict[int, str] = field(default_factory=dict)
    logprobs: dict[int, list[ClientTokenLogprob]] = field(default_factory=lambda: defaultdict(list))
    usage: ClientUsage | None = None

    def add(self, chunk: ClientChunk) -> None:
        self.model = chunk.model or self.model
        self.tier = chunk.tier or self.tier
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices or []:
            self.texts[choice.index] += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                name = f"{call.function.name} " if call.function.name else ""
                self.calls[choice.index, call.index] += name + (call.function.arguments or "")
            if choice.logprobs:
                self.logprobs[choice.index] += choice.logprobs.content or []
            if choice.finish_reason:
                self.finishes[choice.index] = choice.finish_reason

    def summary(self, seconds: float, *, interrupted: bool) -> str:
        finishes = ", ".join(self.finishes[choice] for choice in sorted(self.finishes))
        usage = self.usage
        tokens = f"{usage.prompt_tokens} + {usage.completion_tokens} tokens" if usage else ""
        parts = [self.model, self.tier, "interrupted" if interrupted else finishes, tokens, f"{seconds:.1f} s"]
        return " · ".join(part for part in parts if part)


class AnswerScreen:
    """Shows the first choice while it arrives, and the other choices when the answer is complete."""

    def __init__(self) -> None:
        self._notes = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._reasoning = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._terminal = sys.stdout.isatty()
        self._shows_reasoning = False

    def note(self, text: str) -> None:
        self._notes.print(replace_controls(text), style="dim")

    def error(self, text: str) -> None:
        self._notes.print(f"oruel: {replace_controls(text)}")

    def show(self, chunk: ClientChunk) -> None:
        for choice in chunk.choices or []:
            if choice.index == 0:
                self._show_reasoning(choice.delta.reasoning_content or "")
                self._show_content(choice.delta.content or "")

    def text(self, text: str) -> None:
        """A pipe gets the text as it is. A terminal gets no control characters, which could manipulate it."""
        sys.stdout.write(replace_controls(text) if self._terminal else text)
        sys.stdout.flush()

    def _show_reasoning(self, text: str) -> None:
        if text and self._terminal:
            self._reasoning.print(replace_controls(text), style="dim", end="")
            self._shows_reasoning = True

    def _show_content(self, text: str) -> None:
        if text and self._shows_reasoning:
            self.text("\n\n")
            self._shows_reasoning = False
        self.text(text)

    def finish(self, answer: ChatAnswer) -> None:
        self.text("\n")
        for choice in sorted(set(answer.texts) - {0}):
            self.note(f"choice {choice + 1}:")
            self.text(f"{answer.texts[choice]}\n")
        for choice, index in sorted(answer.calls):
            self.note(f"calls {answer.calls[choice, index]}")
        for choice in sorted(answer.logprobs):
            self.note(f"log-probabilities of choice {choice + 1}:")
            for token in answer.logprobs[choice]:
                self.note(format_logprob(token))


def format_logprob(token: ClientTokenLogprob) -> str:
    others = "  ".join(f"{other.token!r} {other.logprob:.3f}" for other in token.top_logprobs or [])
    return f"  {token.token!r:20} {token.logprob:8.3f}  {others}".rstrip()


def replace_controls(text: str) -> str:
    return text.translate(CONTROL_CHARACTERS)
