"""Reads the template files in this folder: sections start with `= name` and have one template per line.

` // ` in a template stands for a line break.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent


def sections(name: str) -> dict[str, str]:
    """The text of each section, without surrounding empty lines."""
    first, *others = f"\n{(FOLDER / name).with_suffix('.txt').read_text(encoding='utf-8')}".split("\n= ")
    assert not first.strip(), f"{name}: text before the first section"
    parts = (section.partition("\n") for section in others)
    return {heading: body.strip() for heading, _, body in parts}


def lines(name: str) -> dict[str, list[str]]:
    """The templates of each section."""
    return {
        heading: [line.replace(" // ", "\n") for line in body.splitlines() if line]
        for heading, body in sections(name).items()
    }


def tables(name: str) -> dict[str, list[list[str]]]:
    """The records of each section. Their fields are separated by ` : `."""
    return {heading: [line.split(" : ") for line in body] for heading, body in lines(name).items()}


def blocks(name: str) -> dict[str, list[str]]:
    """The multi-line templates of each section, separated by lines of `---`."""
    return {heading: body.split("\n---\n") for heading, body in sections(name).items()}


def words(name: str) -> dict[str, list[str]]:
    """The words of each section, separated by commas."""
    return {heading: re.split(r",\s+", body) for heading, body in sections(name).items()}
