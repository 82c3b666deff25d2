"""Converts text to token ids and back with a tokenizer in Hugging Face form. Thread-safe."""

import re
import threading
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial

from tokenizers import AddedToken
from tokenizers.models import Unigram

from oruel.errors import InvalidParameter
from oruel.hugging_face.pieces import BYTE
from oruel.hugging_face.special_tokens import DeclaredTokens, SpecialTokens
from oruel.hugging_face.tokenizer_file import LoadedTokenizer, is_panic
from oruel.vocabulary.cuts import cut_inside, cut_text
from oruel.vocabulary.space_prefix import finds_space_prefix, tokenize_continuation
from oruel.vocabulary.spelling import spell

# The package needs about 250 bytes of memory for each byte of a text, and its regular expressions give up after some
# millions of steps, so longer texts are tokenised in parts.
MAX_CHARACTERS = 2**15


class HuggingFaceVocabulary:
    """The tokens of one model. `size` is the number of the model's logits, which may exceed the number of tokens: the
    rest is padding and has no text. The methods are those of vocabulary.base.Vocabulary.
    """

    def __init__(self, tokenizer: LoadedTokenizer, size: int, declared: DeclaredTokens) -> None:
        self.size = size
        self.bos, self.eos = declared.bos, declared.eos
        self._tokenizer = tokenizer
        self._library = tokenizer.library
        self._lock = threading.Lock()
        self._names = {token: name for name, token in tokenizer.ids.items()}
        self._pieces: list[bytes | None] = [None] * size
        self._special = SpecialTokens(tokenizer, size, declared)
        self._controls = frozenset(self._special.control.values())
        self._beyond = frozenset(token for token in self._names if token >= size)
        # So that the package too knows those that the files don't mark as special.
        self._library.add_special_tokens([AddedToken(name, normalized=False) for name in self._special.control])
        self.adds_bos = self._begins_with_bos() if declared.adds_bos is None else declared.adds_bos

    def _begins_with_bos(self) -> bool:
        return self.bos is not None and self._library.encode("").ids[:1] == [self.bos]

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        text.encode()  # raises UnicodeEncodeError for a lone surrogate
        parts = cut_text(text, MAX_CHARACTERS)
        if not special and isinstance(self._library.model, Unigram):
            parts = [piece for part in parts for piece in cut_inside(part, self._names_in_text)]
        tokens = self._tokenize_parts(parts, special)
        return self._respell(tokens, self._beyond if special else self._beyond | self._controls_of_text)

    def _tokenize_parts(self, parts: Sequence[str], special: bool) -> list[int]:
        """The tokens of a text in parts. Parts after the first get no space prefix."""
        encode = partial(self._encode, special=special)
        first, *others = parts
        tokens = encode(first)
        for part in others:
            tokens += tokenize_continuation(encode, part, adds_space_prefix=self.adds_space_prefix)
        return tokens

    def _encode(self, text: str, *, special: bool) -> list[int]:
        """Raises InvalidParameter if the package fails on `text`."""
        try:
            with self._lock:
                self._library.encode_special_tokens = not special
                return self._library.encode(text, add_special_tokens=False).ids
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            raise InvalidParameter(
                "This model's tokenizer fails on the text: it lacks a token for one of its characters, or one of its "
                "words is too long. Leave them out.",
                param="messages",
            ) from error

    def _respell(self, tokens: list[int], named: Collection[int]) -> list[int]:
        """Spells those of `tokens` that are in `named` as text: normal tokens may merge into one of them."""
        if frozenset(named).isdisjoint(tokens):
            return tokens
        return [
            part
            for token in tokens
            for part in (spell(self._names[token], self._tokens_by_piece) if token in named else [token])
        ]

    @cached_property
    def _controls_of_text(self) -> frozenset[int]:
        """The control tokens that no text may become, without the one that stands for unknown characters."""
        return self._controls - {self._tokenizer.unknown}

    @cached_property
    def _names_in_text(self) -> re.Pattern[str]:
        """Names that a Unigram model would find in a text: of control tokens, unknown characters, and bytes."""
        unknown = self._names.get(self._tokenizer.unknown, "") if self._tokenizer.unknown is not None else ""
        names = sorted(filter(None, {*self._special.control, unknown}), key=len, reverse=True)
        return re.compile("|".join([*map(re.escape, names), BYTE.pattern]))

    @cached_property
    def _tokens_by_piece(self) -> dict[bytes, int]:
        return {self.piece(token): token for token in reversed(range(self.size))}

    def piece(self, token: int) -> bytes:
        assert 0 <= token < self.size, token
        piece = self._pieces[token]
        if piece is None:
            piece = self._pieces[token] = self._read_piece(token)
        return piece

    def _read_piece(self, token: int) -> bytes:
        name = self._names.get(token)
        if name is None or token in self._controls or token == self._tokenizer.unknown:
            return b""
        decoder = self._tokenizer.decoder
        return decoder.added_piece(name) if token in self._tokenizer.added else decoder.piece(name)

    def token_text(self, token: int) -> str:
        """Padding is named as in GGUF files."""
        assert 0 <= token < self.size, token
        return self._names.get(token, f"[PAD{token}]")

    def is_end(self, token: int) -> bool:
        assert 0 <= token < self.size, token
        return token in self._special.ends

    @property
    def control_tokens(self) -> Mapping[str, int]:
        return self._special.control

    @property
    def user_defined_tokens(self) -> Mapping[str, int]:
        return self._special.user_defined

    @cached_property
    def adds_space_prefix(self) -> bool:
        return finds_space_prefix(self.tokenize, self.piece)
