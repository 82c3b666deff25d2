"""Names and notes: text that a terminal and a log can show on one line."""

from dataclasses import dataclass

from oruel.contract.kinds import String, invalid_value


@dataclass(frozen=True)
class Printable(String):
    """Printable characters, without spaces at either end."""

    minimum: int = 1
    maximum: int | None = 128

    def parse(self, value: object, path: str) -> str:
        text = super().parse(value, path)
        if not text.isprintable() or text != text.strip():
            raise invalid_value(self, value, path)
        return text

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} printable characters, without spaces at either end"
