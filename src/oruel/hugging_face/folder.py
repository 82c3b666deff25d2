"""A folder with a model in Hugging Face form: what text needs of it."""

from pathlib import Path

from oruel.errors import ModelLoadError
from oruel.hugging_face.files import (
    MAX_TEMPLATE_BYTES,
    GenerationConfig,
    ModelConfig,
    NamedTemplate,
    NamedToken,
    TemplateFile,
    TokenizerConfig,
    read_file,
    read_settings,
    token_ids,
)
from oruel.hugging_face.special_tokens import DeclaredTokens
from oruel.hugging_face.tokenizer_file import LoadedTokenizer, load_tokenizer_file
from oruel.hugging_face.vocabulary import HuggingFaceVocabulary

MODEL, TOKENIZER, GENERATION = "config.json", "tokenizer_config.json", "generation_config.json"
TEMPLATE, OLD_TEMPLATE = "chat_template.jinja", "chat_template.json"


class ModelFolder:
    """`vocabulary`; `chat_template`: Jinja source, None if the model has none; `context_length`: the number of tokens
    that the model was trained for, 0 if the folder doesn't say.
    """

    def __init__(self, path: str | Path) -> None:
        """Raises ModelLoadError if a file is missing or broken, or if the tokenizer can't be served exactly."""
        self.path = Path(path)
        if not is_folder(self.path):
            raise ModelLoadError(f"There is no folder {self.path}. Name a folder with a model in Hugging Face form.")
        whole = read_settings(self.path / MODEL, ModelConfig)
        if whole is None:
            raise ModelLoadError(f"{self.path} has no {MODEL}. Name a folder with a model in Hugging Face form.")
        config = whole.text_config or whole
        if config.vocab_size is None:
            raise ModelLoadError(f"{self.path / MODEL} has no vocab_size. Choose a model that generates text.")
        texts = read_settings(self.path / TOKENIZER, TokenizerConfig) or TokenizerConfig()
        generation = read_settings(self.path / GENERATION, GenerationConfig) or GenerationConfig()
        tokenizer = load_tokenizer_file(self.path, texts.added_tokens_decoder)
        declared = self._declared(tokenizer, config, texts, generation)
        self._check_size(tokenizer, config.vocab_size, declared)
        self.vocabulary = HuggingFaceVocabulary(tokenizer, config.vocab_size, declared)
        self.chat_template = self._template(texts)
        self.context_length = config.max_position_embeddings or 0

    def _declared(
        self, tokenizer: LoadedTokenizer, config: ModelConfig, texts: TokenizerConfig, generation: GenerationConfig
    ) -> DeclaredTokens:
        ends = token_ids(generation.eos_token_id) or token_ids(config.eos_token_id)
        bos = self._named(tokenizer, texts.bos_token) or token_ids(config.bos_token_id)
        eos = self._named(tokenizer, texts.eos_token) or ends
        return DeclaredTokens(
            bos=next(iter(bos), None),
            eos=next(iter(eos), None),
            ends=frozenset([*ends, *eos[:1]]),
            adds_bos=texts.add_bos_token,
        )

    def _named(self, tokenizer: LoadedTokenizer, token: str | NamedToken | None) -> list[int]:
        """The id of the token of this name, if one is given."""
        if not token:
            return []
        name = token.content if isinstance(token, NamedToken) else token
        if name not in tokenizer.ids:
            raise ModelLoadError(
                f"{self.path / TOKENIZER} names the token {name[:40]!r}, which the tokenizer lacks. Download the model "
                "again, or choose another."
            )
        return [tokenizer.ids[name]]

    def _check_size(self, tokenizer: LoadedTokenizer, size: int, declared: DeclaredTokens) -> None:
        """Added tokens may lie beyond the model's vocabulary; they are then not used. All others must lie in it."""
        used = {token for token in tokenizer.ids.values() if token not in tokenizer.added}
        used |= {token for token in (declared.bos, declared.eos, *declared.ends) if token is not None}
        if max(used, default=0) >= size:
            raise ModelLoadError(
                f"The files in {self.path} don't belong together: there is a token {max(used)}, but {MODEL} gives the "
                f"model a vocabulary of {size} tokens. Download the model again, or choose another."
            )

    def _template(self, texts: TokenizerConfig) -> str | None:
        """The default template: from its own file if there is one, as transformers does it."""
        data = read_file(self.path / TEMPLATE, MAX_TEMPLATE_BYTES)
        if data is not None:
            return self._decoded(TEMPLATE, data)
        template = texts.chat_template
        if template is None and (old := read_settings(self.path / OLD_TEMPLATE, TemplateFile)):
            template = old.chat_template
        if isinstance(template, list):
            template = self._default(template)
        if template is not None:
            # JSON can hold lone surrogates, which no text of a prompt can.
            self._decoded(TOKENIZER, template.encode(errors="surrogatepass"))
        return template

    def _default(self, templates: list[NamedTemplate]) -> str | None:
        named = {template.name: template.template for template in templates}
        if named and "default" not in named:
            raise ModelLoadError(
                f"{self.path / TOKENIZER} has chat templates named {', '.join(map(repr, named))[:200]}, but none named "
                f"'default'. Put the one to use into {TEMPLATE}."
            )
        return named.get("default")

    def _decoded(self, name: str, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ModelLoadError(
                f"The chat template in {self.path / name} is not UTF-8. Download the model again, or choose another."
            ) from error


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
