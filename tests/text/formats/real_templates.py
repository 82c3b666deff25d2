"""Chat templates of public model families, from the source distribution of the package that contains llama.cpp.
They are fetched and never kept in the repository; `ORUEL_TEST_TEMPLATES` may name a folder that contains them.
"""

import importlib.metadata
import io
import os
import re
import tarfile
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

import pytest
from pip._internal.models.index import PyPI

PACKAGE = "xllamacpp"
# The index that pip uses.
INDEXES = [url for url in (os.environ.get("PIP_INDEX_URL"), PyPI.simple_url) if url]
FOLDER = "/models/templates/"


def templates() -> dict[str, str]:
    """Templates by model name. Skips the test if they can't be fetched."""
    folder = Path(os.environ.get("ORUEL_TEST_TEMPLATES") or cache())
    if not any(folder.glob("*.jinja")):
        folder.mkdir(parents=True, exist_ok=True)
        unpack(fetch(), folder)
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.jinja"))}


def cache() -> Path:
    return Path(tempfile.gettempdir()) / f"oruel-templates-{os.getuid()}-{importlib.metadata.version(PACKAGE)}"


def fetch() -> bytes:
    name = f"{PACKAGE}-{importlib.metadata.version(PACKAGE)}.tar.gz"
    for index in INDEXES:
        try:
            page = read(f"{index.rstrip('/')}/{PACKAGE}/").decode()
            link = re.search(rf'href="([^"]*{re.escape(name)}[^"]*)"', page)
            if link:
                return read(urljoin(f"{index.rstrip('/')}/{PACKAGE}/", link[1]))
        except OSError:
            continue
    pytest.skip(f"{name} can't be fetched from {' or '.join(INDEXES)}")


def read(url: str) -> bytes:
    assert url.startswith(("https://", "http://"))
    with urllib.request.urlopen(url, timeout=120) as response:
        data: bytes = response.read()
    return data


def unpack(archive: bytes, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            if FOLDER in member.name and member.name.endswith(".jinja") and member.isfile():
                content = files.extractfile(member)
                assert content
                (folder / Path(member.name).name).write_bytes(content.read())
