"""Finds the folder of a model in Hugging Face form: one at a path, or one on the hub. Weights are not downloaded."""

import re
from pathlib import Path

from oruel.errors import ModelLoadError
from oruel.hugging_face.folder import OPTIONAL_FILES, REQUIRED_FILES
from oruel.hugging_face.hub import HUB_PREFIX, NAME, HubFile, fetch_file, fetch_optional_file

HUB_FORM = re.compile(f"{NAME}/{NAME}")


def locate_tokenizer(name: str) -> Path:
    """The folder with the tokenizer that a catalog names, as PATH or hf:OWNER/REPO. Raises ModelLoadError."""
    return download_tokenizer(parse_repository(name)) if name.startswith(HUB_PREFIX) else Path(name).expanduser()


def parse_repository(name: str) -> str:
    """Raises ModelLoadError for anything but hf:OWNER/REPO."""
    repository = name.removeprefix(HUB_PREFIX)
    if not HUB_FORM.fullmatch(repository) or ".." in repository:
        raise ModelLoadError(
            f"{name} does not name a repository on the hub. Use the form hf:OWNER/REPO, as in hf:Qwen/Qwen3-0.6B."
        )
    return repository


def download_tokenizer(repository: str) -> Path:
    """The folder in the cache, with all files of one commit. Raises ModelLoadError."""
    first, *others = REQUIRED_FILES
    folder = fetch_file(HubFile(repository, first)).parent
    # The cache names folders by commit.
    for name in others:
        fetch_file(HubFile(repository, name, folder.name))
    for name in OPTIONAL_FILES:
        fetch_optional_file(HubFile(repository, name, folder.name))
    return folder
