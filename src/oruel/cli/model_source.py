"""Finds the model file: the bundled one, one at a path, or one on the Hugging Face hub."""

import re
from importlib import resources
from pathlib import Path

from oruel.errors import ModelLoadError
from oruel.hugging_face.hub import HUB_PREFIX, NAME, HubFile, fetch_file
from oruel.llama.gguf import GGUF_MAGIC
from oruel.settings import BUNDLED_MODEL

BUNDLED_FILE = "oruel-demo.gguf"
HUB_FORM = re.compile(rf"({NAME}/{NAME})/((?:{NAME}/)*{NAME}\.gguf)")
PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


def locate_model(model: str) -> Path:
    """The file of the model that the setting names, downloaded if necessary. Raises ModelLoadError."""
    if model == BUNDLED_MODEL:
        return bundled_model()
    if model.startswith(HUB_PREFIX):
        return download(parse_hub_name(model))
    return check_local_file(model)


def bundled_model() -> Path:
    path = Path(str(resources.files("oruel.models") / BUNDLED_FILE))
    if not path.is_file():
        raise ModelLoadError(
            f"The bundled model {path} is missing from this installation. Reinstall Oru'el, "
            "or name another model with --model PATH.gguf."
        )
    return path


def check_local_file(model: str) -> Path:
    path = Path(model).expanduser()
    if not path.is_file():
        raise ModelLoadError(
            f"There is no model file {path}. Use {BUNDLED_MODEL}, a path to a GGUF file, or hf:OWNER/REPO/FILE.gguf."
        )
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise ModelLoadError(f"The model file {path} can't be read: {error.strerror}.") from error
    if magic != GGUF_MAGIC:
        raise ModelLoadError(
            f"{path} is not a GGUF file: it does not begin with the letters GGUF. Convert it, or choose another."
        )
    return path


def parse_hub_name(model: str) -> HubFile:
    """Parses hf:OWNER/REPO/FILE.gguf, where FILE may include folders. Raises ModelLoadError for any other form."""
    match = HUB_FORM.fullmatch(model.removeprefix(HUB_PREFIX))
    if match is None or ".." in model:
        raise ModelLoadError(
            f"{model} does not name a file on the hub. Use the form hf:OWNER/REPO/FILE.gguf, "
            "as in hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf."
        )
    return HubFile(match[1], match[2])


def part_paths(path: str) -> list[str]:
    """All parts of a split model in order, or just `path` for a model in one file.

    Raises ModelLoadError if `path` names a part other than the first.
    """
    match = PART.search(path)
    if match is None:
        return [path]
    if int(match[1]) != 1:
        raise ModelLoadError(f"{path} is part {int(match[1])} of {int(match[2])}. Name the first part instead.")
    return [f"{path[: match.start()]}-{part:05}-of-{match[2]}.gguf" for part in range(1, int(match[2]) + 1)]


def download(file: HubFile) -> Path:
    """The path of a file in huggingface_hub's cache, downloaded if it isn't there. Raises ModelLoadError."""
    first, *_rest = [fetch_file(HubFile(file.repository, part)) for part in part_paths(file.path)]
    return first
