"""A vocabulary of single characters with llama.cpp's rules for special tokens."""

from collections.abc import Collection

CONTROL = ("<|im_start|>", "<|im_end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<s>", "</s>")
USER_DEFINED = ("<think>", "</think>", "<table>", "\n\n", "\n\n\n")
FIRST_SPECIAL = 0x110000


class Characters:
    """The token of a character is its code point; special tokens follow. Optionally adds a space prefix."""

    def __init__(
        self,
        control: Collection[str] = CONTROL,
        user_defined: Collection[str] = USER_DEFINED,
        *,
        adds_bos: bool = False,
        adds_space_prefix: bool = False,
        strips_right: Collection[str] = (),
    ) -> None:
        self.control_tokens = {text: FIRST_SPECIAL + index for index, text in enumerate(control)}
        first = FIRST_SPECIAL + len(control)
        self.user_defined_tokens = {text: first + index for index, text in enumerate(user_defined)}
        self.bos: int | None = self.control_tokens.get("<s>")
        self.adds_bos = adds_bos
        self.adds_space_prefix = adds_space_prefix
        self._strips_right = strips_right

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        known = self.user_defined_tokens | (self.control_tokens if special else {})
        fragments: list[str | int] = [text] if text else []
        for each in sorted(known, key=len, reverse=True):
            fragments = [part for fragment in fragments for part in self._partition(fragment, each, known[each])]
        return [token for fragment in fragments for token in self._spell(fragment)]

    def text(self, tokens: Collection[int]) -> str:
        special = {token: text for text, token in (self.control_tokens | self.user_defined_tokens).items()}
        return "".join(special.get(token) or chr(token) for token in tokens)

    def _partition(self, fragment: str | int, special: str, token: int) -> list[str | int]:
        if isinstance(fragment, int):
            return [fragment]
        parts: list[str | int] = []
        for index, part in enumerate(fragment.split(special)):
            text = part.lstrip() if index and special in self._strips_right else part
            parts += ([token] if index else []) + ([text] if text else [])
        return parts

    def _spell(self, fragment: str | int) -> list[int]:
        if isinstance(fragment, int):
            return [fragment]
        return [ord(character) for character in " " * self.adds_space_prefix + fragment]


class ByteVocabulary:
    """One token per byte, whose id is the byte; an end token (256), some longer tokens, and control tokens."""

    def __init__(self, merges: Collection[bytes] = (), control: Collection[str] = ()) -> None:
        self._pieces = [*(bytes([byte]) for byte in range(256)), b"", *merges, *(b"" for _ in control)]
        self.size = len(self._pieces)
        self.control_tokens = {text: self.size - len(control) + place for place, text in enumerate(control)}

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def is_end(self, token: int) -> bool:
        return token == 256

    def tokenize(self, text: str) -> list[int]:
        return list(text.encode())
