"""Spells a text with short tokens, for texts that a tokenizer would take for a control token."""

from collections.abc import Mapping


def spell(text: str, tokens_by_piece: Mapping[bytes, int]) -> list[int]:
    """One token per character or, where there is none, per byte. Bytes without a token are left out."""
    known = tokens_by_piece
    return [
        known[piece]
        for character in map(str.encode, text)
        for piece in ([character] if character in known else [bytes([byte]) for byte in character])
        if piece in known
    ]
