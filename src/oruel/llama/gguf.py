"""Reads the metadata of a GGUF file in bounded time and memory: values, arrays and tensors, but no weights.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from oruel.errors import ModelLoadError

HEADER = struct.Struct("<4sIqq")  # magic, version, number of tensors, number of metadata pairs
LENGTH = struct.Struct("<Q")
KIND = struct.Struct("<I")
VERSIONS = (2, 3)
MAX_ENTRIES = 2**20
MAX_METADATA_BYTES = 2**27  # several times the size of the largest vocabularies
MAX_KEY_BYTES = 2**16 - 1
MAX_TENSOR_NAME_BYTES = 63
MAX_DIMENSIONS = 4

# The ids of types, and how numbers of each type are stored.
UINT32, STRING, ARRAY, UINT64 = 4, 8, 9, 10
FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
NUMBERS = {kind: struct.Struct(layout) for kind, layout in FORMATS.items()}

Number = int | float


@dataclass(frozen=True, slots=True)
class NumberArray:
    """`count` numbers of the type `kind`, skipped over."""

    kind: int
    count: int


Value = Number | bytes | list[bytes] | NumberArray


@dataclass(frozen=True, slots=True)
class Contents:
    """`values` by key: numbers (booleans are 0 and 1), strings as bytes, arrays. `tensors`: offsets by name."""

    values: dict[str, Value] = field(default_factory=dict)
    tensors: dict[bytes, int] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        """None if the file has no string for `key`."""
        value = self.values.get(key)
        return value.decode(errors="replace") if isinstance(value, bytes) else None

    def integer(self, key: str) -> int | None:
        value = self.values.get(key)
        return value if isinstance(value, int) else None

    def strings(self, key: str) -> list[bytes] | None:
        value = self.values.get(key)
        return value if isinstance(value, list) else None

    def numbers(self, key: str) -> NumberArray | None:
        value = self.values.get(key)
        return value if isinstance(value, NumberArray) else None


class Damaged(ValueError):
    """What is wrong with the file, as the end of a sentence that begins with its path."""


def read_gguf(path: Path) -> Contents:
    """Raises ModelLoadError if the file can't be read, isn't GGUF or is incomplete."""
    try:
        with path.open("rb") as file:
            return _Reader(file, path.stat().st_size).contents()
    except Damaged as error:
        raise ModelLoadError(f"{path} {error}") from error
    except struct.error as error:
        raise ModelLoadError(f"{path} changed while it was read. Start again when it is complete.") from error
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"The model {path} can't be read: {error}. Give the path of a GGUF file.") from error


class _Reader:
    """Never requests more bytes than the file has left, so that no length in the file can cost memory."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._read = file.read
        self._seek = file.seek
        self._size = size
        self._left = min(size, MAX_METADATA_BYTES)

    def contents(self) -> Contents:
        tensors, pairs = self._header()
        contents = Contents()
        for _ in range(pairs):
            key = self._key()
            if key in contents.values:
                raise Damaged(f"is damaged: it contains the key {key!r} twice. Fetch the file again.")
            contents.values[key] = self._value(key, self._integer(UINT32))
        for _ in range(tensors):
            self._tensor(contents.tensors)
        for name, offset in contents.tensors.items():
            if offset > self._size:
                raise Damaged(
                    f"is incomplete: the tensor {name.decode(errors='replace')!r} starts beyond the end of the file. "
                    "Fetch the file again."
                )
        return contents

    def _header(self) -> tuple[int, int]:
        header = self._read(min(HEADER.size, self._left))
        self._left -= len(header)
        if not header.startswith(b"GGUF"):
            raise Damaged(f"is not a GGUF file: it begins with {header[:4]!r}. Convert it, or choose another.")
        if len(header) < HEADER.size:
            raise Damaged(f"ends after {len(header)} bytes, inside its header. Fetch the file again.")
        _, version, tensors, pairs = HEADER.unpack(header)
        if version not in VERSIONS:
            raise Damaged(f"is GGUF of version {version}; versions 2 and 3, little-endian, can be read.")
        if not (0 <= tensors <= MAX_ENTRIES and 0 < pairs <= MAX_ENTRIES):
            raise Damaged(f"claims {tensors} tensors and {pairs} metadata pairs: it is damaged.")
        return tensors, pairs

    def _key(self) -> str:
        key = self._string("key", MAX_KEY_BYTES)
        try:
            return key.decode()
        except UnicodeDecodeError:
            raise Damaged(f"is damaged: the key {key[:80]!r} is not UTF-8. Fetch the file again.") from None

    def _value(self, key: str, kind: int) -> Value:
        if kind == STRING:
            return self._string(key)
        if kind == ARRAY:
            return self._array(key, self._integer(UINT32), self._integer(UINT64))
        if kind not in NUMBERS:
            raise Damaged(f"is damaged: {key!r} has the unknown type {kind}. Fetch the file again.")
        return self._number(kind)

    def _array(self, key: str, kind: int, count: int) -> Value:
        if kind == STRING:
            return self._strings(key, count)
        if kind not in NUMBERS:
            raise Damaged(f"is damaged: {key!r} is an array of the unknown type {kind}. Fetch the file again.")
        self._skip(key, count * NUMBERS[kind].size)
        return NumberArray(kind, count)

    def _strings(self, key: str, count: int) -> list[bytes]:
        """A separate loop, since vocabularies have hundreds of thousands of entries."""
        read, unpack, left = self._read, LENGTH.unpack, self._left
        texts: list[bytes] = []
        if count > left // LENGTH.size:
            raise self._beyond(key)
        for _ in range(count):
            if left < LENGTH.size:
                raise self._beyond(key)
            (length,) = unpack(read(LENGTH.size))
            left -= LENGTH.size + length
            if left < 0:
                raise self._beyond(key)
            texts.append(read(length))
        self._left = left
        return texts

    def _tensor(self, tensors: dict[bytes, int]) -> None:
        name = self._string("tensor name", MAX_TENSOR_NAME_BYTES)
        if name in tensors:
            raise Damaged(f"is damaged: it contains the tensor {name!r} twice. Fetch the file again.")
        dimensions = self._integer(UINT32)
        if dimensions > MAX_DIMENSIONS:
            raise Damaged(f"is damaged: the tensor {name!r} has {dimensions} dimensions. Fetch the file again.")
        self._skip("tensor shape", dimensions * LENGTH.size + KIND.size)
        tensors[name] = self._integer(UINT64)

    def _string(self, what: str, longest: int | None = None) -> bytes:
        length = self._integer(UINT64)
        if longest is not None and not 0 < length <= longest:
            raise Damaged(f"is damaged: a {what} is {length} bytes long. Fetch the file again.")
        return self._bytes(what, length)

    def _integer(self, kind: int) -> int:
        number = self._number(kind)
        assert isinstance(number, int)
        return number

    def _number(self, kind: int) -> Number:
        layout = NUMBERS[kind]
        number: Number = layout.unpack(self._bytes("number", layout.size))[0]
        return number

    def _bytes(self, what: str, count: int) -> bytes:
        if count > self._left:
            raise self._beyond(what)
        self._left -= count
        data = self._read(count)
        if len(data) < count:
            raise struct.error(what)
        return data

    def _skip(self, what: str, count: int) -> None:
        if count > self._left:
            raise self._beyond(what)
        self._left -= count
        self._seek(count, os.SEEK_CUR)

    def _beyond(self, what: str) -> Damaged:
        if self._size > MAX_METADATA_BYTES:
            return Damaged(
                f"is damaged: it contains more than {MAX_METADATA_BYTES} bytes of metadata. Choose another file."
            )
        return Damaged(f"is incomplete: {what!r} reaches beyond its {self._size} bytes. Fetch the file again.")
