"""Answers of a real vLLM, byte for byte, in `recorded/`. tests/vllm/record.py writes them."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Recording:
    """As a file: the status and the content type in a line, an empty line, the body."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def read(cls, name: str) -> "Recording":
        head, _, body = (FOLDER / f"{name}.http").read_bytes().partition(b"\n\n")
        status, _, content_type = head.decode().partition(" ")
        return cls(int(status), content_type, body)

    def write(self, name: str) -> None:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.http").write_bytes(f"{self.status} {self.content_type}\n\n".encode() + self.body)
