"""Writes the corpus: conversations of all subjects, mixed by weight, one JSON list of messages a line."""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from training.phrases import Conversation
from training.subjects import (
    advice,
    arithmetic,
    attitudes,
    chat,
    code,
    facts,
    jokes,
    lists,
    longer,
    stories,
    unknown,
    verses,
)

MIX: dict[Callable[[Random], Conversation], float] = {
    arithmetic.question_of_arithmetic: 21,
    arithmetic.sum_in_words: 2,
    arithmetic.larger: 0.7,
    arithmetic.word_problem: 1.5,
    arithmetic.counting: 1,
    facts.question_of_fact: 14,
    facts.difference: 0.7,
    facts.choice_between_kinds: 1.5,
    jokes.joke_asked_for: 5,
    jokes.riddle_answered: 1,
    verses.poem_asked_for: 4.5,
    verses.haiku_asked_for: 1,
    stories.story_asked_for: 3.5,
    stories.opening_asked_for: 5,
    lists.list_asked_for: 5,
    lists.open_list_asked_for: 1.5,
    lists.brainstorm: 2.5,
    lists.json_list_asked_for: 3,
    lists.json_extraction: 2,
    code.function_asked_for: 4.5,
    code.code_explained: 1,
    chat.greeting: 3,
    chat.small_talk: 2.5,
    chat.name_remembered: 9,
    chat.colour_remembered: 2,
    chat.words_repeated: 9,
    chat.sentiment: 3,
    chat.translation: 4,
    chat.summary: 2.5,
    attitudes.attitude: 8,
    advice.tips: 1.5,
    advice.recipe: 0.8,
    advice.letter: 1.2,
    unknown.humble_answer: 3,
    longer.essay_asked_for: 2.3,
    longer.tutorial_asked_for: 2,
    longer.explanation_asked_for: 4,
}
ASSISTANTS = [
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "You are an assistant that answers questions.",
    "Answer the user's questions.",
]


def later_turns(random: Random) -> Conversation:
    """A conversation without a system prompt, to follow another one of any subject."""
    while True:
        messages = random.choices(list(MIX), list(MIX.values()))[0](random)
        if messages[0][0] == "user" and sum(len(content) for _, content in messages) < 600:
            return messages


def conversation(random: Random) -> tuple[str, Conversation]:
    """The name of the subject and a conversation of it, sometimes under a plain system prompt."""
    subject = random.choices(list(MIX), list(MIX.values()))[0]
    messages = subject(random)
    if random.random() < 0.12:
        messages = [*messages, *later_turns(random)]
    if messages[0][0] != "system" and random.random() < 0.12:
        messages = [("system", random.choice(ASSISTANTS)), *messages]
    return subject.__name__, messages


def written(target: Path, count: int, seed: int) -> Counter[str]:
    """Writes `count` conversations; returns how many characters each subject took."""
    random, sizes = Random(seed), Counter[str]()
    with target.open("w") as lines:
        for _ in range(count):
            name, messages = conversation(random)
            lines.write(json.dumps(messages, ensure_ascii=False) + "\n")
            sizes[name] += sum(len(content) + 20 for _, content in messages)
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder to write corpus.jsonl into")
    parser.add_argument("--conversations", type=int, default=80_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    sizes = written(arguments.work / "corpus.jsonl", arguments.conversations, arguments.seed)
    for name, size in sizes.most_common():
        print(f"{name:24} {size / sum(sizes.values()):6.1%}")
    print(f"{sum(sizes.values()) / 1e6:.1f}M characters")


if __name__ == "__main__":
    main()
