"""A loaded GGUF model. Files on which llama.cpp would abort are refused before it opens them."""

import os
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

from oruel.errors import ConfigError, ModelLoadError
from oruel.llama.gguf_check import check_gguf
from oruel.llama.library import Library, load_library
from oruel.llama.vocabulary import GgufVocabulary

METADATA_BYTES = 256


class Model:
    """Owns a loaded model. Close its contexts first."""

    def __init__(
        self,
        path: str | Path,
        *,
        gpu_layers: int = 0,
        vocabulary_only: bool = False,
        library: Library | None = None,
    ) -> None:
        """Loads the GGUF file at `path`, with its weights unless `vocabulary_only` is set.

        Raises ModelLoadError if the file can't be read, isn't GGUF, is damaged, or isn't a decoder with a vocabulary.
        Raises ConfigError if `gpu_layers` > 0 and the library has no GPU support.
        """
        self.path = Path(path)
        self.library = library or load_library()
        self.uses_gpu = gpu_layers > 0
        self.contexts: weakref.WeakSet[object] = weakref.WeakSet()
        check_gguf(self.path)
        self._pointer = self._load(gpu_layers, vocabulary_only)
        self._free = weakref.finalize(self, self.library.lib.llama_model_free, self._pointer)
        try:
            self._check_architecture()
        except ModelLoadError:
            self.close()
            raise

    def _load(self, gpu_layers: int, vocabulary_only: bool) -> Any:
        lib, ffi = self.library.lib, self.library.ffi
        assert gpu_layers >= 0, gpu_layers
        if gpu_layers and not lib.llama_supports_gpu_offload():
            raise ConfigError(
                f"gpu_layers is {gpu_layers}, but this build of libllama ({self.library.path}) has no GPU support. Set "
                "gpu_layers to 0, or point LIBLLAMA at a build with GPU support.",
                param="gpu_layers",
            )
        params = self.library.model_params()
        params.n_gpu_layers = gpu_layers
        params.vocab_only = vocabulary_only
        # An empty, NULL-terminated list. The model keeps a pointer to it, so this object must keep it alive.
        self._no_devices = ffi.new("void *[1]")
        if gpu_layers == 0:
            # Without a list of devices, llama.cpp computes large batches on any GPU that it finds.
            params.devices = self._no_devices
        self.library.log.errors.clear()
        pointer = lib.llama_model_load_from_file(os.fsencode(self.path), params[0])
        if pointer == ffi.NULL:
            reasons = "; ".join(self.library.log.errors) or "llama.cpp gave no reason"
            raise ModelLoadError(f"{self.path} can't be loaded: {reasons}. Download the file again, or choose another.")
        return pointer

    def _check_architecture(self) -> None:
        lib = self.library.lib
        architecture = self.metadata("general.architecture")
        if (
            not lib.llama_model_has_decoder(self.pointer)
            or lib.llama_model_has_encoder(self.pointer)
            or lib.llama_model_is_diffusion(self.pointer)
        ):
            raise ModelLoadError(
                f"{self.path} has the architecture {architecture}, which doesn't generate text token by token. "
                "Choose a decoder-only chat model, such as Llama, Qwen, Gemma or Mistral."
            )
        if self.vocabulary.size == 0:
            raise ModelLoadError(f"{self.path} contains no vocabulary. Choose a GGUF file with a tokenizer.")

    @property
    def pointer(self) -> Any:
        """The `llama_model *`. Only modules of this folder use it."""
        assert self._free.alive, "the model is closed"
        return self._pointer

    @cached_property
    def vocabulary(self) -> GgufVocabulary:
        return GgufVocabulary(self)

    @property
    def context_length(self) -> int:
        """The number of tokens in the model's context window; 0 if the file doesn't say."""
        # Read from the metadata, because the library only knows it when the weights are loaded.
        return int(self.metadata(f"{self.metadata('general.architecture')}.context_length") or 0)

    @property
    def can_forget(self) -> bool:
        """Whether sequences can be truncated. Recurrent and hybrid models have a state instead of a cell per token."""
        lib = self.library.lib
        return not (lib.llama_model_is_recurrent(self.pointer) or lib.llama_model_is_hybrid(self.pointer))

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the model's default chat template; None if it has none."""
        template = self.library.lib.llama_model_chat_template(self.pointer, self.library.ffi.NULL)
        if template == self.library.ffi.NULL:
            return None
        return bytes(self.library.ffi.string(template)).decode(errors="replace")

    def metadata(self, key: str) -> str | None:
        """The value of the metadata key `key` as text; None if the key is missing or its value is an array."""
        lib, ffi = self.library.lib, self.library.ffi
        size = METADATA_BYTES
        while True:
            buffer = ffi.new("char[]", size)
            length = lib.llama_model_meta_val_str(self.pointer, key.encode(), buffer, size)
            if length < size:
                return ffi.string(buffer).decode(errors="replace") if length >= 0 else None
            size = length + 1

    def close(self) -> None:
        """Frees the weights. Closing twice is safe."""
        assert not self.contexts, "close the model's contexts first"
        self._free()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
