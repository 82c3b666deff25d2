"""Answers in JSON: lists, fields extracted from a sentence, objects with given keys and values."""

import json
from typing import Any

from training import texts
from training.invented import WORDS, Draws
from training.phrases import Conversation, exchange, fill_one, sample_in_order
from training.subjects.lists import COLLECTIONS, count_and_things, pick_words
from training.subjects.memory import draw_value

FRAMES = texts.lines("structured")
SENTENCES = texts.tables("structured")["sentences"]
YEARS = {name: int(year) for name, year in texts.tables("structured")["languages and years"]}


def json_request(random: Draws, request: str, answer: Any) -> Conversation:
    """A request for JSON, in the system message or in the question."""
    written = json.dumps(answer, ensure_ascii=False)
    if random.random() < 0.35:
        return exchange(random, f"{request} {fill_one(random, FRAMES['wishes'])}", written)
    return [("system", fill_one(random, FRAMES["systems"])), *exchange(random, request, written)]


def json_list_request(random: Draws) -> Conversation:
    """A list of programming languages with their years, or of any collection."""
    if not random.kept_out and random.random() < 0.45:
        count = random.choice((3, 3, 2, 4, 5))
        request = fill_one(random, FRAMES["requests for languages"], count=count)
        return json_request(
            random,
            request,
            {
                "languages": [
                    {"name": name, "year": YEARS[name]} for name in sample_in_order(random, list(YEARS), count)
                ]
            },
        )
    count, things = count_and_things(random)
    request = fill_one(random, FRAMES["requests for lists"], count=count, things=things)
    return json_request(
        random, request, {things.replace(" ", "_"): sample_in_order(random, COLLECTIONS[things], count)}
    )


def json_picked_items(random: Draws) -> Conversation:
    """A list of the first or last few words in the question."""
    spoken, words, answer = pick_words(random)
    key = random.choice(("items", "words", random.word()))
    request = fill_one(random, FRAMES["picks"], place=spoken, words=", ".join(words), key=key)
    return [("user", request), ("assistant", json.dumps({key: answer}))]


def json_extraction(random: Draws) -> Conversation:
    """Fields extracted from a sentence."""
    sentence, names = random.choice(SENTENCES)
    fields = dict(name.split("=") for name in names.split())
    values = {name: draw_value(random, kind) for name, kind in fields.items()}
    answer = {name: int(value) if fields[name] in ("ages", "numbers") else value for name, value in values.items()}
    text = fill_one(random, [sentence], **values)
    if random.random() < 0.4:
        return [("system", fill_one(random, FRAMES["systems"])), ("user", text), ("assistant", json.dumps(answer))]
    return [("user", fill_one(random, FRAMES["extract"], text=text)), ("assistant", json.dumps(answer))]


def json_object_request(random: Draws) -> Conversation:
    """An object with the keys and values in the question."""
    keys = dict.fromkeys(
        random.choice(WORDS["fields"]) if random.random() < 0.6 else random.word() for _ in range(random.randint(1, 4))
    )
    answer: dict[str, Any] = {
        key: int(random.number(1, 2, 3)) if random.random() < 0.3 else random.any_value() for key in keys
    }
    sign = random.choice((" ", " = ", ": "))
    pairs = [f"{key}{sign}{value}" for key, value in answer.items()]
    answer = {key: int(value) if str(value).isdigit() else value for key, value in answer.items()}
    request = fill_one(random, FRAMES["objects"], pairs=" and ".join(pairs) if len(pairs) < 3 else ", ".join(pairs))
    return [("user", request), ("assistant", json.dumps(answer))]
