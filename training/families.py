"""The families of the evaluation: held-out conversations that end with the expected answer, and how answers are judged.

No question is in the corpus: its made-up words, its pair of numbers or its wording is held out.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from training.corpus import is_held_out
from training.invented import WORDS, Draws, held_out
from training.phrases import Conversation
from training.subjects import (
    arithmetic,
    attitudes,
    chat,
    code,
    copying,
    facts,
    foreign,
    labels,
    lists,
    memory,
    stories,
    structured,
    summaries,
    tools,
    unknown,
    verses,
)

Judge = Callable[[Conversation, str], bool]  # the conversation with the expected answer, and the model's answer
Questions = Iterator[Conversation]


@dataclass(frozen=True)
class Family:
    """`goal`: the target is 90%. `is_constrained`: calls must be valid calls of the declared functions."""

    name: str
    questions: Callable[[], Questions]
    is_right: Judge
    goal: bool = False
    is_constrained: bool = False


def expected_answer(conversation: Conversation) -> str:
    return conversation[-1][1]


def is_same_text(conversation: Conversation, answer: str) -> bool:
    return answer.strip() == expected_answer(conversation).strip()


def is_same_number(conversation: Conversation, answer: str) -> bool:
    return re.findall(r"\d+", answer)[-1:] == re.findall(r"\d+", expected_answer(conversation))[-1:]


def is_right_list(conversation: Conversation, answer: str) -> bool:
    """Whether the answer has the requested number of numbered lines, all different and all of the right kind."""
    wanted = [line for line in expected_answer(conversation).splitlines() if line[:1].isdigit()]
    found = [line.split(". ", 1) for line in answer.splitlines() if line[:1].isdigit()]
    kind = next(
        set(items) for items in lists.COLLECTIONS.values() if {each.split(". ")[1] for each in wanted} <= set(items)
    )
    items = [line[-1] for line in found]
    numbers = [line[0] for line in found]
    return numbers == [str(n + 1) for n in range(len(wanted))] and len(set(items)) == len(items) and set(items) <= kind


def parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def is_same_json(conversation: Conversation, answer: str) -> bool:
    return parse_json(answer) == parse_json(expected_answer(conversation))


def has_same_shape(conversation: Conversation, answer: str) -> bool:
    """Whether the answer is an object with the same keys in the same order, and with lists of the same lengths."""
    wanted, found = parse_json(expected_answer(conversation)), parse_json(answer)
    if not isinstance(wanted, dict) or not isinstance(found, dict) or list(wanted) != list(found):
        return False
    return all(
        len(found[key]) == len(value) if isinstance(value, list) and isinstance(found[key], list) else True
        for key, value in wanted.items()
    )


def parse_call(answer: str) -> dict[str, object]:
    found = re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", answer.strip())
    call = parse_json(found[1]) if found else None
    return call if isinstance(call, dict) else {}


def expected_call(conversation: Conversation) -> dict[str, object]:
    calls: list[dict[str, object]] = json.loads(expected_answer(conversation))
    return calls[0]


def is_same_tool(conversation: Conversation, answer: str) -> bool:
    return parse_call(answer).get("name") == expected_call(conversation)["name"]


def is_same_call(conversation: Conversation, answer: str) -> bool:
    return parse_call(answer) == expected_call(conversation)


def has_no_call(conversation: Conversation, answer: str) -> bool:
    return bool(answer) and "<tool_call>" not in answer


def says_unknown(conversation: Conversation, answer: str) -> bool:
    """Whether the answer says that the model doesn't know."""
    humble = ("do not know", "more than I have learned", "beyond me", "learned nothing", "learned too little")
    return any(words in answer for words in humble)


def contains_fact(conversation: Conversation, answer: str) -> bool:
    """Whether the answer contains the longest sentence of the expected answer, which is the fact itself."""
    sentences = re.split(r"(?<=[.!?]) ", expected_answer(conversation))
    return max(sentences, key=len) in answer


def says_not_told(conversation: Conversation, answer: str) -> bool:
    return "not tell" in answer or "not told" in answer


def contains_function(conversation: Conversation, answer: str) -> bool:
    """Whether the answer contains the expected function."""
    return (
        max(re.findall(r"def \w+\(.*?(?=\n```)", expected_answer(conversation), re.DOTALL), key=len, default="?")
        in answer
    )


def questions_on(subject: Callable[[Draws], Conversation], count: int, seed: int = 11) -> Callable[[], Questions]:
    """Held-out conversations on a subject, each ending with the expected answer."""

    def questions() -> Questions:
        random = Draws(seed, kept_out=True)
        for _ in range(count):
            conversation = subject(random)
            yield conversation if conversation[-1][0] in ("assistant", "calls") else conversation[:-1]

    return questions


def held_out_questions_on(
    subject: Callable[[Draws], Conversation], count: int, seed: int = 12
) -> Callable[[], Questions]:
    """Short conversations on a subject whose last question is held out by its wording."""

    def questions() -> Questions:
        random = Draws(seed, kept_out=False)
        asked: set[str] = set()
        tries = 0
        while len(asked) < count and (tries := tries + 1) < 20_000:
            conversation = subject(random)
            question = conversation[-2:-1]
            if len(conversation) <= 3 and is_held_out(question) and question[0][1] not in asked:
                asked.add(question[0][1])
                yield conversation

    return questions


def sums() -> Questions:
    for a in range(21):
        for b in range(21):
            if arithmetic.held_out(a, b):
                yield [("user", f"What is {a} + {b}?"), ("assistant", str(a + b))]


def differences() -> Questions:
    for a in range(21):
        for b in range(a + 1):
            if arithmetic.held_out_difference(a, b):
                yield [("user", f"What is {a} - {b}?"), ("assistant", str(a - b))]


def name_question(random: Draws) -> Conversation:
    """A name, small talk, then the question about the name."""
    name = random.name()
    told = [("user", f"My name is {name}."), ("assistant", f"Nice to meet you, {name}!")]
    return [*told, *chat.small_talk(random), ("user", "What is my name?"), ("assistant", f"Your name is {name}.")]


def untold_question_after_name(random: Draws) -> Conversation:
    """A name, then a question about another fact, which wasn't told."""
    name = random.name()
    told = [("user", f"My name is {name}."), ("assistant", f"Nice to meet you, {name}!")]
    question = random.choice([question for statement, question, *_ in memory.FACTS if not memory.tells_name(statement)])
    return [*told, ("user", question), ("assistant", "You have not told me that.")]


def untold_question(random: Draws) -> Conversation:
    """A question about a fact that wasn't told, in words that occur with no fact of the corpus."""
    while True:
        conversation = memory.varied_untold_question(random)
        if not any(question.strip(".?").lower() in conversation[-2][1].lower() for _, question, *_ in memory.FACTS):
            return conversation


def real_name_questions() -> Questions:
    for name in WORDS["names never in the corpus"]:
        told = [("user", f"My name is {name}."), ("assistant", f"Nice to meet you, {name}!")]
        yield [*told, ("user", "What is my name?"), ("assistant", f"Your name is {name}.")]


def made_up_call(random: Draws) -> Conversation:
    chosen = tools.made_up_function(random)
    return [
        tools.tools_message(tools.offered_functions(random, chosen)),
        *tools.call_turns(random, chosen, answered=0.0),
    ]


def known_call(random: Draws) -> Conversation:
    chosen = random.choice(tools.KNOWN)
    return [
        tools.tools_message(tools.offered_functions(random, chosen)),
        *tools.call_turns(random, chosen, answered=0.0),
    ]


def unknown_theme(subject: Callable[[Draws], Conversation]) -> Callable[[Draws], Conversation]:
    """Conversations on the subject whose theme is a held-out word."""

    def made(random: Draws) -> Conversation:
        while True:
            conversation = subject(random)
            if " about " in conversation[0][1] and held_out(theme_of(conversation)):
                return conversation

    return made


def theme_of(conversation: Conversation) -> str:
    """The word that the requested poem or story is about."""
    about = conversation[0][1].split(" about ")[1].strip(".?!")
    return re.split(" named | called ", about)[0].split()[-1].lower()


def is_about_theme(conversation: Conversation, answer: str) -> bool:
    """Whether the answer mentions the theme and has more than 15 words."""
    return theme_of(conversation) in answer.lower() and len(answer.split()) > 15


FAMILIES = [
    Family("sums to 20 + 20, both orders held out", sums, is_same_number, goal=True),
    Family("differences to 20", differences, is_same_number, goal=True),
    Family("numbered lists of the requested length", questions_on(lists.list_request, 40), is_right_list, goal=True),
    Family("JSON shape: lists", questions_on(structured.json_list_request, 40), has_same_shape, goal=True),
    Family("JSON shape: fields of a sentence", questions_on(structured.json_extraction, 40), has_same_shape, goal=True),
    Family("JSON values: fields of a sentence", questions_on(structured.json_extraction, 40), is_same_json),
    Family("JSON values: keys and values named", questions_on(structured.json_object_request, 40), is_same_json),
    Family("tool names, made up", questions_on(made_up_call, 40), is_same_tool, goal=True),
    Family("tool names and arguments, made up", questions_on(made_up_call, 40), is_same_call, goal=True),
    Family("the same, constrained as in the server", questions_on(made_up_call, 40), is_same_call, is_constrained=True),
    Family("tool calls, known functions, new values", questions_on(known_call, 40), is_same_call),
    Family("answers from tool results", questions_on(tools.answer_from_result, 40), is_same_text),
    Family("no call when none is needed", questions_on(tools.no_call_needed, 30), has_no_call),
    Family("names said two turns earlier, made up", questions_on(name_question, 40), is_same_text, goal=True),
    Family("names, real but not in the corpus", real_name_questions, is_same_text, goal=True),
    Family("facts said earlier", questions_on(memory.fact_questions, 40), is_same_text, goal=True),
    Family("facts not told, held-out wording: says so", held_out_questions_on(untold_question, 40), says_not_told),
    Family("facts not told, after a name: says so", questions_on(untold_question_after_name, 40), says_not_told),
    Family("words repeated", questions_on(copying.repeated_words, 40), is_same_text),
    Family("values looked up by key", questions_on(copying.value_lookup, 40), is_same_text),
    Family("sentences: who, where, what", questions_on(copying.filled_sentence, 40), is_same_text),
    Family("facts, held-out wording", held_out_questions_on(facts.question_of_fact, 60), is_same_text),
    Family("classification with one of several labels", questions_on(labels.topic_label, 40), is_same_text),
    Family("sentiment", held_out_questions_on(chat.sentiment, 40), is_same_text),
    Family("translations, held-out wording", held_out_questions_on(chat.translation, 40), is_same_text),
    Family("summaries", questions_on(summaries.summary, 30), is_same_text),
    Family("answers in French, Spanish, German", held_out_questions_on(foreign.foreign_answer, 40), is_same_text),
    Family("styles: brief, pirate, butler, JSON", held_out_questions_on(attitudes.attitude, 40), contains_fact),
    Family("unknown things: says so", held_out_questions_on(unknown.humble_answer, 30), says_unknown),
    Family(
        "functions in Python, held-out wording",
        held_out_questions_on(code.function_request, 20),
        contains_function,
    ),
    Family("poems about unknown things", questions_on(unknown_theme(verses.poem_request), 15), is_about_theme),
    Family("stories about unknown heroes", questions_on(unknown_theme(stories.story_request), 15), is_about_theme),
]
