"""Shows the trace of an answer instead of its text: as tables while it arrives, or as JSON when it is complete."""

from abc import ABC, abstractmethod

from oruel.api.chat.trace import TraceEntry
from oruel.cli.answer import AnswerScreen, ChatAnswer
from oruel.cli.chat_client import ClientChunk, decode_json
from oruel.cli.trace_tables import TraceConsole


class ExplainScreen(AnswerScreen, ABC):
    """Shows the first choice. `traced` counts the tokens whose trace has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.traced = 0

    def show(self, chunk: ClientChunk) -> None:
        for choice in chunk.choices or []:
            for entry in (choice.trace or []) if choice.index == 0 else []:
                self.traced += 1
                self.show_token(bytes(entry))

    @abstractmethod
    def show_token(self, entry: bytes) -> None:
        """`entry` is the token's trace as JSON."""


class TableScreen(ExplainScreen):
    def __init__(self) -> None:
        super().__init__()
        self._console = TraceConsole()

    def show_token(self, entry: bytes) -> None:
        self._console.print(decode_json(entry, TraceEntry))

    def finish(self, answer: ChatAnswer) -> None:
        self.text(answer.texts[0])
        super().finish(answer)


class JsonScreen(ExplainScreen):
    """Prints the tokens' traces as the server sent them, in an array with one token per line."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[str] = []

    def show_token(self, entry: bytes) -> None:
        self._entries.append(entry.decode())

    def finish(self, answer: ChatAnswer) -> None:
        self.text("[\n" + ",\n".join(self._entries) + "\n]\n")
