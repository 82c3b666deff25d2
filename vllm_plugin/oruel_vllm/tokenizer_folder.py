"""Where the tokenizer that vLLM has loaded lies on this machine."""

from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError


def tokenizer_folder(name: str, revision: str | None = None, cache: Path | None = None) -> str:
    """`name` is a folder, or that of a model on the Hugging Face hub, which vLLM has downloaded into `cache`. What is
    neither is returned as it is.
    """
    if Path(name).is_dir():
        return name
    try:
        found = try_to_load_from_cache(name, "tokenizer.json", cache_dir=cache, revision=revision)
    except HFValidationError:
        return name
    return str(Path(found).parent) if isinstance(found, str) else name
