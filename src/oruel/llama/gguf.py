"""Reads the metadata and tensor list of a GGUF file in bounded time and memory. Weights are not read.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from oruel.errors import ModelLoadError

GGUF_MAGIC = b"GGUF"
HEADER = struct.Struct("<4sIqq")  # magic, version, number of tensors, number of metadata pairs
LENGTH = struct.Struct("<Q")
KIND = struct.Struct("<I")
VERSIONS = (2, 3)
MAX_ENTRIES = 2**20
MAX_METADATA_BYTES = 2**27  # several times the size of the largest known vocabulary
MAX_KEY_BYTES = 2**16 - 1
MAX_TENSOR_NAME_BYTES = 63
MAX_DIMENSIONS = 4

# Type ids of metadata values, and the struct format of each numeric type.
UINT32, STRING, ARRAY, UINT64 = 4, 8, 9, 10
FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
NUMBERS = {kind: struct.Struct(layout) for kind, layout in FORMATS.items()}

Number = int | float


@dataclass(frozen=True, slots=True)
class NumberArray:
    """An array of `count` numbers of the type `kind`. The numbers themselves are not read."""

    kind: int
    count: int


Value = Number | bytes | list[bytes] | NumberArray


@dataclass(frozen=True, slots=True)
class Contents:
    """`values` maps keys to numbers (booleans are 0 and 1), strings (as bytes) and arrays. `tensors` maps names to
    offsets in bytes. The methods return None if the key is missing or has another type.
    """

    values: dict[str, Value] = field(default_factory=dict)
    tensors: dict[bytes, int] = field(default_factory=dict)

    def text(self, key: str) -> str | None:

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


class GgufFault(ValueError):
    """Describes what is wrong with the file, as a sentence without its subject, the path."""


def read_gguf(path: Path) -> Contents:
    """Raises ModelLoadError if the file can't be read, isn't a GGUF file, or is damaged or incomplete."""
    try:
        with path.open("rb") as file:
            return _Reader(file, path.stat().st_size).contents()
    except GgufFault as error:
        raise ModelLoadError(f"{path} {error}") from error
    except struct.error as error:
        raise ModelLoadError(f"{path} changed while it was read. Try again when the file is complete.") from error
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"The model {path} can't be read: {error}. Give the path of a GGUF file.") from error


class _Reader:
    """Never reads more bytes than the file has left, so a false length in the file can't exhaust memory."""

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
                raise GgufFault(f"is damaged: it contains the key {key!r} twice. Download the file again.")
            contents.values[key] = self._value(key, self._integer(UINT32))
        for _ in range(tensors):
            self._tensor(contents.tensors)
        for name, offset in contents.tensors.items():
            if offset > self._size:
                raise GgufFault(
                    f"is incomplete: the tensor {name.decode(errors='replace')!r} starts beyond the end of the file. "
                    "Download the file again."
                )
        return contents

    def _header(self) -> tuple[int, int]:
        header = self._read(min(HEADER.size, self._left))
        self._left -= len(header)
        if not header.startswith(GGUF_MAGIC):
            raise GgufFault(
                f"is not a GGUF file: it begins with {header[:4]!r}. Convert the model to GGUF, or choose another file."
            )
        if len(header) < HEADER.size:
            raise GgufFault(f"ends after {len(header)} bytes, inside its header. Download the file again.")
        _, version, tensors, pairs = HEADER.unpack(header)
        if version not in VERSIONS:
            raise GgufFault(f"has GGUF version {version}. Supported are versions 2 and 3, little-endian.")
        if not (0 <= tensors <= MAX_ENTRIES and 0 < pairs <= MAX_ENTRIES):
            raise GgufFault(f"is damaged: its header gives {tensors} tensors and {pairs} metadata pairs.")
        return tensors, pairs

    def _key(self) -> str:
        key = self._string("key", MAX_KEY_BYTES)
        try:
            return key.decode()
        except UnicodeDecodeError:
            raise GgufFault(f"is damaged: the key {key[:80]!r} is not UTF-8. Download the file again.") from None

    def _value(self, key: str, kind: int) -> Value:
        if kind == STRING:
            return self._string(key)
        if kind == ARRAY:
            return self._array(key, self._integer(UINT32), self._integer(UINT64))
        if kind not in NUMBERS:
            raise GgufFault(f"is damaged: {key!r} has the unknown type {kind}. Download the file again.")
        return self._number(kind)

    def _array(self, key: str, kind: int, count: int) -> Value:
        if kind == STRING:
            return self._strings(key, count)
        if kind not in NUMBERS:
            raise GgufFault(f"is damaged: {key!r} is an array of the unknown type {kind}. Download the file again.")
        self._skip(key, count * NUMBERS[kind].size)
        return NumberArray(kind, count)

    def _strings(self, key: str, count: int) -> list[bytes]:
        """Reads an array of strings, in an inlined loop: vocabularies have hundreds of thousands of entries."""
        read, unpack, left = self._read, LENGTH.unpack, self._left
        texts: list[bytes] = []
        if count > left // LENGTH.size:
            raise self._overrun(key)
        for _ in range(count):
            if left < LENGTH.size:
                raise self._overrun(key)
            (length,) = unpack(read(LENGTH.size))
            left -= LENGTH.size + length
            if left < 0:
                raise self._overrun(key)
            texts.append(read(length))
        self._left = left
        return texts

    def _tensor(self, tensors: dict[bytes, int]) -> None:
        name = self._string("tensor name", MAX_TENSOR_NAME_BYTES)
        if name in tensors:
            raise GgufFault(f"is damaged: it contains the tensor {name!r} twice. Download the file again.")
        dimensions = self._integer(UINT32)
        if dimensions > MAX_DIMENSIONS:
            raise GgufFault(f"is damaged: the tensor {name!r} has {dimensions} dimensions. Download the file again.")
        self._skip("tensor shape", dimensions * LENGTH.size + KIND.size)
        tensors[name] = self._integer(UINT64)

    def _string(self, what: str, longest: int | None = None) -> bytes:
        length = self._integer(UINT64)
        if longest is not None and not 0 < length <= longest:
            raise GgufFault(f"is damaged: a {what} is {length} bytes long. Download the file again.")
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
            raise self._overrun(what)
        self._left -= count
        data = self._read(count)
        if len(data) < count:
            raise struct.error(what)
        return data

    def _skip(self, what: str, count: int) -> None:
        if count > self._left:
            raise self._overrun(what)
        self._left -= count
        self._seek(count, os.SEEK_CUR)

    def _overrun(self, what: str) -> GgufFault:
        if self._size > MAX_METADATA_BYTES:
            return GgufFault(
                f"is damaged: it contains more than {MAX_METADATA_BYTES} bytes of metadata. Choose another file."
            )
        return GgufFault(f"is incomplete: {what!r} extends beyond its {self._size} bytes. Download the file again.")
