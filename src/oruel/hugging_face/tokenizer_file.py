"""Loads tokenizer.json with the `tokenizers` package, and refuses what can't be served exactly."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE, Unigram
from tokenizers.pre_tokenizers import Metaspace

from oruel.errors import ModelLoadError
from oruel.hugging_face.files import MAX_TOKENIZER_BYTES, AddedTokenEntry, decode_tokenizer, read_file
from oruel.hugging_face.pieces import DecoderStep, PieceDecoder

FILE = "tokenizer.json"
# Files of tokenizers in other forms, with what to do about them.
OTHER_FORMS = ("tokenizer.model", "tekken.json", "vocab.json", "spiece.model", "tiktoken.model")
REMEDY = "Download the model again, or choose another"


class ModelHeader(msgspec.Struct, frozen=True):
    """The settings of the model in tokenizer.json, without its vocabulary."""

    dropout: float | None = None
    unk_token: str | None = None
    unk_id: int | None = None


class ListedToken(msgspec.Struct, frozen=True):
    id: int
    content: str


class Header(msgspec.Struct, frozen=True):
    model: ModelHeader
    decoder: DecoderStep | None = None
    added_tokens: list[ListedToken] = []


@dataclass(frozen=True, slots=True)
class LoadedTokenizer:
    """`ids`: every token by name, added ones included. `added`: the added tokens by id. `unknown`: the token for
    characters that have none.
    """

    library: Tokenizer
    ids: Mapping[str, int]
    added: Mapping[int, AddedToken]
    unknown: int | None
    decoder: PieceDecoder


def load_tokenizer_file(folder: Path, added: Mapping[int, AddedTokenEntry]) -> LoadedTokenizer:
    """`added`: tokens to add to those of the file, by id. Raises ModelLoadError."""
    path = folder / FILE
    data = read_file(path, MAX_TOKENIZER_BYTES)
    if data is None:
        raise missing_file(folder)
    header = decode_tokenizer(path, data, Header)
    with library_faults(path):
        library = Tokenizer.from_buffer(data)
        return finish_loading(path, library, header, added)


def finish_loading(
    path: Path, library: Tokenizer, header: Header, added: Mapping[int, AddedTokenEntry]
) -> LoadedTokenizer:
    if fault := model_fault(library, header):
        raise ModelLoadError(f"{path} can't be used: {fault}.")
    assert header.decoder is not None
    # Both are for training. They would cut long texts, and lengthen short ones.
    library.no_truncation()
    library.no_padding()
    disable_first_prefix(library)
    check_ids(path, library, {token.id: token.content for token in header.added_tokens})
    add_tokens(path, library, added)
    ids = library.get_vocab(with_added_tokens=True)
    unknown = header.model.unk_id if header.model.unk_token is None else ids.get(header.model.unk_token)
    return LoadedTokenizer(library, ids, library.get_added_tokens_decoder(), unknown, PieceDecoder(header.decoder))


def model_fault(library: Tokenizer, header: Header) -> str:
    """Why the tokenizer can't be served exactly; empty if it can."""
    if not isinstance(library.model, BPE | Unigram):
        kind = type(library.model).__name__
        return f"its tokenizer type, {kind}, belongs to encoder models, which don't generate text"
    if header.model.dropout:
        return f"its dropout of {header.model.dropout} makes token ids random; set it to null"
    if header.decoder is None:
        return "it has no decoder, which says what text a token stands for"
    return PieceDecoder(header.decoder).fault


def check_ids(path: Path, library: Tokenizer, listed: Mapping[int, str]) -> None:
    """Raises ModelLoadError if two tokens have the same id or name, or if an id is not the one that the file gives: the
    package numbers added tokens itself.
    """
    ids = library.get_vocab(with_added_tokens=False)
    if len(set(ids.values())) < len(ids) or len(ids) < library.get_vocab_size(with_added_tokens=False):
        raise ModelLoadError(f"{path} is damaged: two of its tokens have the same name or id. {REMEDY}.")
    for token, name in listed.items():
        if library.token_to_id(name) != token:
            raise ModelLoadError(
                f"{path} is damaged: it gives its added token {name[:40]!r} the id {token}, but "
                f"{library.token_to_id(name)} is the next free one. {REMEDY}."
            )


def add_tokens(path: Path, library: Tokenizer, added: Mapping[int, AddedTokenEntry]) -> None:
    """Adds those of `added` that the tokenizer lacks. Raises ModelLoadError if one can't get its id."""
    for token, entry in sorted(added.items()):
        if library.token_to_id(entry.content) is None:
            library.add_tokens([AddedToken(**msgspec.structs.asdict(entry))])
        if library.token_to_id(entry.content) != token:
            raise ModelLoadError(
                f"{path.parent} is damaged: tokenizer_config.json gives the token {entry.content[:40]!r} the id "
                f"{token}, but {FILE} gives it {library.token_to_id(entry.content)}. {REMEDY}."
            )


def disable_first_prefix(library: Tokenizer) -> None:
    """Some tokenizers add a space before the first text only. A prompt is tokenised in parts, nearly always after BOS
    or another special token, so that no part is the first text.
    """
    if library.pre_tokenizer is None:
        return
    state = library.pre_tokenizer.__getstate__()
    if b'"prepend_scheme":"first"' in state:
        changed = Metaspace()
        # Sets the whole state, whatever its kind.
        changed.__setstate__(state.replace(b'"prepend_scheme":"first"', b'"prepend_scheme":"never"'))
        library.pre_tokenizer = changed


def missing_file(folder: Path) -> ModelLoadError:
    others = [name for name in OTHER_FORMS if (folder / name).is_file()]
    if not others:
        return ModelLoadError(f"{folder} has no {FILE}. Name a folder with a model in Hugging Face form.")
    return ModelLoadError(
        f"{folder} has no {FILE}, only {others[0]}. Convert it: load the model with AutoTokenizer of the transformers "
        f"package, save it with save_pretrained, and copy its {FILE} there."
    )


@contextmanager
def library_faults(path: Path) -> Iterator[None]:
    """Raises ModelLoadError for what the package raises, its panics included, which aren't Exceptions."""
    try:
        yield
    except ModelLoadError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelLoadError(f"{path} can't be used: {reason}. {REMEDY}.") from error


def is_panic(error: BaseException) -> bool:
    """Whether the error is a panic of a library in Rust, whose class can't be imported."""
    return type(error).__name__ == "PanicException"
