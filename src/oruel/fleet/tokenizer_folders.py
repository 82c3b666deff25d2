"""The tokenizers of models in Hugging Face form, each loaded once however many deployments use it."""

from dataclasses import dataclass
from pathlib import Path

from oruel.constraints.tokens import TokenTable
from oruel.hugging_face.folder import ModelFolder
from oruel.hugging_face.vocabulary import HuggingFaceVocabulary
from oruel.jobs.messages import HuggingFaceTokenizer
from oruel.text.tokenizer import Tokenizer
from oruel.vocabulary.padded import PaddedVocabulary


@dataclass(frozen=True, slots=True)
class TokenizerFolder:
    """`created`: when it was written, in seconds since the epoch. `context`: the number of tokens that the model was
    trained for, None if the folder doesn't say. `writes_json`: the vocabulary can spell JSON byte by byte.
    """

    path: Path
    vocabulary: HuggingFaceVocabulary
    tokenizer: Tokenizer
    source: HuggingFaceTokenizer
    created: int
    context: int | None
    template: str
    writes_json: bool


class TokenizerFolders:
    """`describes_tools`: see Tokenizer."""

    def __init__(self, *, describes_tools: bool) -> None:
        self._describes_tools = describes_tools
        self._loaded: dict[Path, TokenizerFolder] = {}

    def load(self, path: Path) -> TokenizerFolder:
        """Raises ModelLoadError."""
        if path not in self._loaded:
            self._loaded[path] = self._load(path)
        return self._loaded[path]

    def _load(self, path: Path) -> TokenizerFolder:
        folder = ModelFolder(path)
        tokenizer = Tokenizer(
            PaddedVocabulary(folder.vocabulary), folder.chat_template, describes_tools=self._describes_tools
        )
        return TokenizerFolder(
            path,
            folder.vocabulary,
            tokenizer,
            HuggingFaceTokenizer(str(path), self._describes_tools),
            created=int(path.stat().st_mtime),
            context=folder.context_length or None,
            template=folder.chat_template or "",
            writes_json=TokenTable(folder.vocabulary).can_write_json,
        )
