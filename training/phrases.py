"""Expands templates: `[a|b]` becomes one of the alternatives, `{name}` becomes the value given for it."""

import re
from collections.abc import Sequence
from random import Random
from typing import TypeVar

Message = tuple[str, str]
Conversation = list[Message]
Item = TypeVar("Item")

INNERMOST_CHOICE = re.compile(r"\[([^\[\]|]*(?:\|[^\[\]|]*)+)\]")
SLOT = re.compile(r"\{(\w+)\}")


def fill(random: Random, template: str, **values: object) -> str:
    """Expands the choices of `template`, including nested ones, then its slots. Unknown slots are left unchanged."""
    text, replaced = template, 1
    while replaced:
        text, replaced = INNERMOST_CHOICE.subn(lambda choice: random.choice(choice[1].split("|")), text)
    return SLOT.sub(lambda match: str(values.get(match.group(1), match.group(0))), text)


def fill_one(random: Random, templates: Sequence[str], **values: object) -> str:
    """Expands one of the templates, chosen at random."""
    return fill(random, random.choice(templates), **values)


def parse_table(text: str) -> list[list[str]]:
    """Parses one record per line, with fields separated by ` : `. Empty lines are skipped."""
    return [[field.strip() for field in line.split(" : ")] for line in text.strip().splitlines() if line.strip()]


def sample_in_order(random: Random, items: Sequence[Item], count: int) -> list[Item]:
    """Draws `count` of the items without replacement and keeps their order."""
    return [items[index] for index in sorted(random.sample(range(len(items)), count))]


def capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def join_words(items: Sequence[str]) -> str:
    """Joins items as in `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def vary_prompt(random: Random, prompt: str) -> str:
    """Varies a prompt as people do: sometimes adds a "please", or omits the capital or the final punctuation."""
    if random.random() < 0.08 and prompt[0].isupper() and prompt.split()[0] not in {"I", "I'm", "My"}:
        prompt = fill(random, "[Please|Please,|Can you help me?|Hi!|Hey,] ") + prompt
    if random.random() < 0.1:
        prompt = prompt[0].lower() + prompt[1:]
    if random.random() < 0.1 and prompt[-1] in ".?!:":
        prompt = prompt[:-1]
    return prompt


def exchange(random: Random, prompt: str, answer: str) -> Conversation:
    """A question, varied, and its answer."""
    return [("user", vary_prompt(random, prompt)), ("assistant", answer)]
