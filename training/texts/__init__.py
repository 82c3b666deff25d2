"""Reads the templates beside this file: sections under `= name`, a template a line.

` // ` stands for a line break within a template.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent


def sections(name: str) -> dict[str, str]:
    """The text of each section of a file, without the empty lines around it."""
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
    """The records of each section, their fields divided by ` : `."""
    return {heading: [line.split(" : ") for line in body] for heading, body in lines(name).items()}


def blocks(name: str) -> dict[str, list[str]]:
    """The templates of each section where they are many lines long, divided by lines of `---`."""
    return {heading: body.split("\n---\n") for heading, body in sections(name).items()}


def words(name: str) -> dict[str, list[str]]:
    """The words of each section, divided by commas."""
    return {heading: re.split(r",\s+", body) for heading, body in sections(name).items()}
