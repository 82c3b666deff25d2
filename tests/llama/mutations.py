"""Opens damaged copies of a GGUF file: `python -m tests.llama.mutations FILE SEED FIRST COUNT MODE`.

Opens COUNT damaged copies in turn and prints the outcome of each. MODE is `vocabulary` or `weights`. The exit status
shows whether llama.cpp killed the process.
"""

import random
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from oruel.errors import ModelLoadError
from oruel.llama.model import Model

NUMBERS = (0, 1, 2, 3, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
TEXT = "Hello \0 wörld, 日本 😀 <|im_start|> <s> \n\n 1234 é"


class Damage:
    """Makes damaged copies of one file. The same number always gives the same copy."""

    def __init__(self, whole: bytes, seed: str) -> None:
        self._whole = whole
        self._seed = seed
        self._metadata = whole.rindex(b"output_norm.weight") + 64
        self._tokens = list(token_places(whole))

    def copy(self, number: int) -> bytes:
        """Applies one to three faults. Some of them truncate the file."""
        choice = random.Random(f"{self._seed} {number}")
        data = bytearray(self._whole)
        for _ in range(choice.choice((1, 1, 1, 2, 3))):
            choice.choice((self._flip, self._overwrite, self._respell, self._copy, self._remove, self._cut))(
                data, choice
            )
        return bytes(data)

    def _place(self, choice: random.Random) -> int:
        return choice.randrange(4, self._metadata)

    def _flip(self, data: bytearray, choice: random.Random) -> None:
        data[min(self._place(choice), len(data) - 1)] ^= 1 << choice.randrange(8)

    def _overwrite(self, data: bytearray, choice: random.Random) -> None:
        place = self._place(choice)
        data[place : place + 8] = struct.pack("<Q", choice.choice(NUMBERS))

    def _respell(self, data: bytearray, choice: random.Random) -> None:
        """Overwrites one token with another, zeros or random bytes."""
        start, end = choice.choice(self._tokens)
        same = [place for place in self._tokens if place[1] - place[0] == end - start]
        other = choice.choice(same)
        data[start:end] = choice.choice((data[other[0] : other[1]], bytes(end - start), choice.randbytes(end - start)))

    def _copy(self, data: bytearray, choice: random.Random) -> None:
        place, source, length = self._place(choice), self._place(choice), choice.randrange(1, 32)
        data[place : place + length] = data[source : source + length]

    def _remove(self, data: bytearray, choice: random.Random) -> None:
        place = self._place(choice)
        del data[place : place + choice.randrange(1, 64)]

    def _cut(self, data: bytearray, choice: random.Random) -> None:
        del data[choice.randrange(8, len(data)) :]


def token_places(whole: bytes) -> Iterator[tuple[int, int]]:
    """The start and end offsets of each token's text."""
    place = whole.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens") + 8
    (count,) = struct.unpack_from("<Q", whole, place)
    place += 8
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", whole, place)
        place += 8 + length
        yield place - length, place


def load_outcome(path: Path, *, vocabulary_only: bool) -> str:
    try:
        with Model(path, vocabulary_only=vocabulary_only) as model:
            use_vocabulary(model)
    except ModelLoadError as error:
        return f"refused: {error.message!r}"
    return "loaded"


def use_vocabulary(model: Model) -> None:
    """Calls everything that the API process calls."""
    vocabulary = model.vocabulary
    for special in (False, True):
        vocabulary.tokenize(TEXT, special=special)
    for token in range(vocabulary.size):
        vocabulary.piece(token)
        vocabulary.token_text(token)
    _ = vocabulary.control_tokens, vocabulary.user_defined_tokens, vocabulary.adds_space_prefix, vocabulary.adds_bos
    _ = model.context_length, model.chat_template, model.can_forget


def main() -> None:
    source, seed, first, count, mode = sys.argv[1:]
    damage = Damage(Path(source).read_bytes(), seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged.gguf"
        for number in range(int(first), int(first) + int(count)):
            print(number, end=" ", flush=True)
            path.write_bytes(damage.copy(number))
            print(load_outcome(path, vocabulary_only=mode == "vocabulary"), flush=True)


if __name__ == "__main__":
    main()
