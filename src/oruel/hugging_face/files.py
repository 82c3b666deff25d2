"""Reads the JSON files of a model in bounded time and memory, and checks their types. Other keys are ignored."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from oruel.errors import ModelLoadError

# Several times the size of the largest known ones.
MAX_TOKENIZER_BYTES = 2**27
MAX_SETTINGS_BYTES = 2**24
MAX_TEMPLATE_BYTES = 2**20
MAX_TOKENS = 2**22

S = TypeVar("S", bound=msgspec.Struct)

TokenId = Annotated[int, msgspec.Meta(ge=0, lt=MAX_TOKENS)]
TokenIds = TokenId | list[TokenId] | None
Count = Annotated[int, msgspec.Meta(gt=0, le=MAX_TOKENS)]


class NamedToken(msgspec.Struct, frozen=True):
    content: str


class NamedTemplate(msgspec.Struct, frozen=True):
    name: str
    template: str


class AddedTokenEntry(msgspec.Struct, frozen=True):
    """A token that is matched in a text before the model's own tokens. See tokenizers.AddedToken."""

    content: str
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


class ModelConfig(msgspec.Struct, frozen=True):
    """config.json. Models of text and images describe the part for text in `text_config`."""

    vocab_size: Count | None = None
    max_position_embeddings: int | None = None
    bos_token_id: TokenIds = None
    eos_token_id: TokenIds = None
    text_config: "ModelConfig | None" = None


class GenerationConfig(msgspec.Struct, frozen=True):
    """generation_config.json."""

    eos_token_id: TokenIds = None


class TokenizerConfig(msgspec.Struct, frozen=True):
    """tokenizer_config.json. `added_tokens_decoder` is by id, and may add to the tokens of tokenizer.json."""

    bos_token: str | NamedToken | None = None
    eos_token: str | NamedToken | None = None
    add_bos_token: bool | None = None
    chat_template: str | list[NamedTemplate] | None = None
    added_tokens_decoder: dict[TokenId, AddedTokenEntry] = {}


class TemplateFile(msgspec.Struct, frozen=True):
    """chat_template.json, an older form of chat_template.jinja."""

    chat_template: str


def read_settings(path: Path, kind: type[S]) -> S | None:
    """The contents of a JSON file of settings; None if there is no such file. Raises ModelLoadError."""
    data = read_file(path, MAX_SETTINGS_BYTES)
    if data is None:
        return None
    try:
        # Python writes NaN and Infinity into these files, which msgspec's own decoder refuses.
        return msgspec.convert(json.loads(data), kind)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, error) from error


def decode_tokenizer(path: Path, data: bytes, kind: type[S]) -> S:
    """Raises ModelLoadError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, error) from error


def read_file(path: Path, limit: int) -> bytes | None:
    """None if there is no such file. Raises ModelLoadError if it can't be read or is longer than `limit` bytes."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(data) > limit:
        raise ModelLoadError(f"{path} is longer than {limit} bytes. Download the model again, or choose another.")
    return data


def unreadable(path: Path, error: Exception) -> ModelLoadError:
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
    return ModelLoadError(f"{path} can't be used: {reason}. Download the model again, or choose another.")


def token_ids(value: Any) -> list[int]:
    """The ids of a setting that holds one id, a list of ids, or null."""
    if value is None:
        return []
    return [value] if isinstance(value, int) else list(value)
