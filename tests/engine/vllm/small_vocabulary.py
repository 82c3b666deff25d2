"""256 bytes, an end token, and two tokens without text."""

from oruel.constraints.tokens import ByteVocabulary


class SmallVocabulary(ByteVocabulary):
    size = 259
