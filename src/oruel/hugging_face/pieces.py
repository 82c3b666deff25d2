"""What a token adds to a text, in bytes, by the decoder that tokenizer.json describes.

The decoders of the `tokenizers` package join tokens to a text, so they can't say what a token that ends inside a
character stands for. Here each token is decoded alone, as it would be in the middle of a text.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec

BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


def byte_level_alphabet() -> dict[str, int]:
    """The character that stands for each byte in byte-level vocabularies: its own if that is printable, else the next
    one from U+0100. From bytes_to_unicode in https://github.com/openai/gpt-2/blob/master/src/encoder.py.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


BYTES = byte_level_alphabet()


class LiteralPattern(msgspec.Struct, frozen=True):
    text: str = msgspec.field(name="String")


class Step(msgspec.Struct, tag_field="type", frozen=True):
    """A step of the decoder. The tag is the name of its class in tokenizers.decoders."""


class ByteLevelStep(Step, tag="ByteLevel", frozen=True):
    pass


class ByteFallbackStep(Step, tag="ByteFallback", frozen=True):
    pass


class ReplaceStep(Step, tag="Replace", frozen=True):
    pattern: LiteralPattern
    content: str


class MetaspaceStep(Step, tag="Metaspace", frozen=True):
    """Also removes the space prefix, which is not in the middle of a text."""

    replacement: str = "▁"


class SuffixStep(Step, tag="BPEDecoder", frozen=True):
    """`suffix` marks the end of a word."""

    suffix: str = "</w>"


class FuseStep(Step, tag="Fuse", frozen=True):
    """Joins the tokens. What follows acts on the ends of the text, not on each token."""


class StripStep(Step, tag="Strip", frozen=True):
    """Removes characters from the ends of the text, such as the space prefix."""


class SequenceStep(Step, tag="Sequence", frozen=True):
    decoders: "list[DecoderStep]"


DecoderStep = (
    ByteLevelStep | ByteFallbackStep | ReplaceStep | MetaspaceStep | SuffixStep | FuseStep | StripStep | SequenceStep
)


class PieceDecoder:
    def __init__(self, decoder: DecoderStep) -> None:
        self._steps = list(flatten([decoder]))
        self._replaced = [pair for step in self._steps if (pair := replaced_text(step))]

    @property
    def fault(self) -> str:
        """Why the pieces can't be told from the steps; empty if they can."""
        kinds = [type(step) for step in self._steps]
        if StripStep in kinds and FuseStep not in kinds[: kinds.index(StripStep)]:
            return "its decoder strips each token"
        return ""

    def piece(self, text: str) -> bytes:
        """The bytes that a token of this name adds to a text."""
        if self._has_bytes and (match := BYTE.fullmatch(text)):
            return bytes([int(match[1], 16)])
        for old, new in self._replaced:
            text = text.replace(old, new)
        if self._is_byte_level and all(character in BYTES for character in text):
            return bytes(BYTES[character] for character in text)
        return text.encode()

    def added_piece(self, text: str) -> bytes:
        """The bytes of an added token: its own text, except that some vocabularies mark spaces in it too."""
        return text.encode() if self._is_byte_level else self.piece(text)

    @cached_property
    def _is_byte_level(self) -> bool:
        return any(isinstance(step, ByteLevelStep) for step in self._steps)

    @cached_property
    def _has_bytes(self) -> bool:
        return any(isinstance(step, ByteFallbackStep) for step in self._steps)


def flatten(steps: Sequence[DecoderStep]) -> Iterator[DecoderStep]:
    for step in steps:
        if isinstance(step, SequenceStep):
            yield from flatten(step.decoders)
        else:
            yield step


def replaced_text(step: DecoderStep) -> tuple[str, str] | None:
    match step:
        case ReplaceStep(pattern, content):
            return pattern.text, content
        case MetaspaceStep(replacement):
            return replacement, " "
        case SuffixStep(suffix):
            return suffix, " "
    return None
