"""Writes the corpus: conversations on all subjects, mixed by weight, one JSON list of messages per line.

Held out for the evaluation are an eighth of all invented words and of all questions, selected by hash, and some pairs
of numbers.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from training.chatml import render
from training.held_out_forms import is_held_out_form
from training.invented import Draws, held_out
from training.phrases import Conversation
from training.subjects import (
    advice,
    arithmetic,
    attitudes,
    chat,
    code,
    copying,
    facts,
    foreign,
    forms,
    functions,
    jokes,
    labels,
    lists,
    longer,
    memory,
    stories,
    structured,
    summaries,
    tools,
    unknown,
    verses,
    world,
)

Subject = Callable[[Draws], Conversation]

COPYING: dict[Subject, float] = {
    copying.repeated_words: 7,
    copying.listed_words: 2,
    copying.value_lookup: 5,
    copying.word_at_place: 1.5,
    copying.filled_sentence: 3,
    memory.fact_questions: 12,
    memory.untold_question: 0.7,
    structured.json_extraction: 4,
    structured.json_object_request: 4,
    structured.json_picked_items: 3,
    lists.picked_items: 2,
    tools.call_requests: 9,
    tools.two_call_request: 2,
    tools.answer_from_result: 2,
}
MIX: dict[Subject, float] = COPYING | {
    arithmetic.question_of_arithmetic: 20,
    arithmetic.sum_in_words: 1.5,
    arithmetic.larger: 0.7,
    arithmetic.word_problem: 1.5,
    arithmetic.counting: 1,
    facts.question_of_fact: 13,
    facts.difference: 0.7,
    facts.choice_between_kinds: 1.5,
    jokes.joke_request: 4,
    jokes.riddle_answer: 1,
    verses.poem_request: 4,
    verses.haiku_request: 1,
    stories.story_request: 3.5,
    stories.opening_request: 5,
    lists.list_request: 9,
    lists.open_list_request: 1,
    lists.brainstorm: 2.5,
    structured.json_list_request: 8,
    tools.no_call_needed: 1.2,
    code.function_request: 5,
    code.code_explanation: 1,
    chat.greeting: 2.5,
    chat.small_talk: 2.5,
    chat.sentiment: 2.5,
    chat.translation: 5,
    labels.topic_label: 4,
    summaries.summary: 3.5,
    summaries.missing_article: 1.2,
    attitudes.attitude: 8,
    foreign.foreign_answer: 4,
    advice.tips: 1.5,
    advice.recipe: 0.8,
    advice.letter: 1.2,
    unknown.humble_answer: 3,
    longer.essay_request: 2.3,
    longer.tutorial_request: 2,
    longer.explanation_request: 4,
}
# The mix for the end of training: more of what the model still gets wrong.
FINISHING: dict[Subject, float] = MIX | {
    tools.calls_without_parameter_names: 24,
    longer.essay_request: 0,
    longer.essay_with_remarks: 12,
    memory.untold_question: 0,
    memory.varied_untold_question: 18,
    attitudes.attitude: 14,
    foreign.foreign_answer: 7,
    chat.translation: 8,
}
FORMS: dict[Subject, float] = {
    forms.extraction: 200,
    forms.invention: 5,
    forms.extraction_call: 20,
    world.world_document: 50,
    world.world_call: 3,
    functions.task_calls: 70,
}
# The mix for the finishing tokens of the bundled file: documents and calls under constraints, and what it knew before.
FINISHING_FORMS = FINISHING | FORMS | {tools.calls_without_parameter_names: 8, longer.essay_with_remarks: 6}
# Subjects that may come between a fact and the question about it. None of them may contradict the fact.
ASIDES = {subject: weight for subject, weight in MIX.items() if subject is not memory.fact_questions}
# None of them may claim that the fact wasn't told either. `ASIDES` is unchanged since the bundled model's first corpus.
FINISHING_ASIDES = {subject: weight for subject, weight in ASIDES.items() if subject is not memory.untold_question}
ASSISTANTS = [
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "You are an assistant that answers questions.",
    "Answer the user's questions.",
]
PAGE = [
    "What is 2 + 2?",
    "Write a creative opening line for a novel.",
    "Summarize this article.",
    "Generate a creative poem.",
    "Explain quantum computing.",
    "Tell me a joke.",
    "What is Python?",
    "Write a detailed tutorial on Docker.",
    "List 3 fruits:",
    "Write a Python function.",
    "Write a long essay about space.",
    "Brainstorm business ideas.",
    "Write a story.",
    "List 3 programming languages with their year of creation.",
    "Hello!",
]
LONG_CHARACTERS = (700, 13_000)


def is_held_out(conversation: Conversation) -> bool:
    """Whether a question or a declared function belongs to the evaluation. Questions of the parameter page never do."""
    return any(
        (role == "user" and content not in PAGE and held_out(content))
        or (role == "tools" and declares_held_out_form(content))
        for role, content in conversation
    )


def declares_held_out_form(declarations: str) -> bool:
    return any(is_held_out_form(one["name"], one["parameters"]) for one in json.loads(declarations))


def draw_turns(random: Draws, mix: dict[Subject, float]) -> tuple[str, Conversation]:
    """A subject's name and a conversation on it that isn't held out."""
    subjects, weights = list(mix), list(mix.values())
    while True:
        subject = random.choices(subjects, weights)[0]
        messages = subject(random)
        if not is_held_out(messages):
            return subject.__name__, messages


def draw_later_turns(random: Draws, longest: int = 600, mix: dict[Subject, float] = MIX) -> Conversation:
    """Turns to append to another conversation, without a system message or functions."""
    while True:
        _, messages = draw_turns(random, mix)
        if messages[0][0] == "user" and sum(len(content) for _, content in messages) < longest:
            return messages


def draw_conversation(random: Draws, mix: dict[Subject, float]) -> tuple[str, Conversation]:
    """A subject's name and a conversation on it, sometimes with a plain system message or further turns."""
    name, messages = draw_turns(random, mix)
    if messages[0][0] not in ("tools", "system") and random.random() < 0.1:
        messages = [*messages, *draw_later_turns(random)]
    if messages[0][0] != "system" and random.random() < 0.1:
        place = 1 if messages[0][0] == "tools" else 0
        messages = [*messages[:place], ("system", random.choice(ASSISTANTS)), *messages[place:]]
    return name, messages


def count_characters(conversation: Conversation) -> int:
    return sum(len(content) + 20 for _, content in conversation)


def draw_long_conversation(random: Draws, asides: dict[Subject, float] = ASIDES) -> Conversation:
    """Facts about the user over thousands of tokens, with questions at the end. The first fact is asked about last."""
    told: list[tuple[str, str, str]] = []
    messages: Conversation = []
    target = random.randint(*LONG_CHARACTERS)
    while count_characters(messages) < target:
        if random.random() < 0.25 or not told:
            statement, question, answer, kind = random.choice(memory.FACTS)
            if all(question != other for other, _, _ in told):
                value = memory.draw_value(random, kind)
                messages.append(("user", statement.replace("{v}", value)))
                messages.append(("assistant", memory.acknowledgement(random, statement, value)))
                told.append((question, answer.replace("{v}", value), statement))
        elif random.random() < 0.15:
            question, answer, _ = random.choice(told)
            messages += [("user", question), ("assistant", answer)]
        else:
            messages += draw_later_turns(random, longest=2000, mix=asides)
    for question, answer, _ in [*random.sample(told, min(len(told), 3)), told[0]]:
        messages += [("user", question), ("assistant", answer)]
    return messages


def draw_long_conversation_with_untold(random: Draws) -> Conversation:
    """A long conversation with one question about a fact that the user never tells."""
    messages = draw_long_conversation(random, FINISHING_ASIDES)
    place = random.randrange(0, len(messages), 2)
    untold = random.choice(memory.untold_questions(messages))
    return [*messages[:place], ("user", untold), ("assistant", memory.untold_answer(random)), *messages[place:]]


def write_conversations(target: Path, count: int, make: Callable[[], tuple[str, Conversation]]) -> Counter[str]:
    """Writes `count` conversations. Returns the number of characters for each subject."""
    sizes = Counter[str]()
    with target.open("w", encoding="utf-8") as lines:
        for _ in range(count):
            name, messages = make()
            lines.write(json.dumps(messages, ensure_ascii=False) + "\n")
            sizes[name] += len(render(messages))
    return sizes


MIXES: dict[str, tuple[dict[Subject, float], Callable[[Draws], Conversation]]] = {
    "all": (MIX, draw_long_conversation),
    "finishing": (FINISHING, draw_long_conversation_with_untold),
    "forms": (FINISHING_FORMS, draw_long_conversation_with_untold),
}


def write_corpus(work: Path, counts: tuple[int, int, int], seed: int, mix_name: str = "all") -> Counter[str]:
    """Writes `copying.jsonl`, `corpus.jsonl` and `long.jsonl` with `counts` conversations each.

    Returns the number of characters for each subject in `corpus.jsonl`.
    """
    mix, make_long = MIXES[mix_name]
    work.mkdir(parents=True, exist_ok=True)
    copies, all_subjects, long = (Draws(seed + number) for number in range(3))
    write_conversations(work / "copying.jsonl", counts[0], lambda: draw_conversation(copies, COPYING))
    sizes = write_conversations(work / "corpus.jsonl", counts[1], lambda: draw_conversation(all_subjects, mix))
    write_conversations(work / "long.jsonl", counts[2], lambda: ("long", make_long(long)))
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="output folder")
    parser.add_argument("--conversations", type=int, default=1_200_000)
    parser.add_argument("--mix", choices=MIXES, default="all", help="the other mixes are for the end of training")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    count = arguments.conversations
    sizes = write_corpus(arguments.work, (count // 10, count, count // 60), arguments.seed, arguments.mix)
    for name, size_of_subject in sizes.most_common():
        print(f"{name:24} {size_of_subject / sum(sizes.values()):6.1%}")
    print(f"{sum(sizes.values()) / 1e6:.1f}M characters")


if __name__ == "__main__":
    main()
