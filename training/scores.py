"""What the model gets right at temperature 0; some sums and phrasings are kept out of the corpus."""

import json
from collections.abc import Callable, Iterable
from random import Random

from training import corpus, texts
from training.answers import Exported
from training.phrases import Conversation
from training.subjects import chat, facts
from training.subjects.arithmetic import held_out

Score = tuple[int, int, list[str]]
Question = tuple[Conversation, Callable[[str], bool]]


def counted(exported: Exported, questions: Iterable[Question]) -> Score:
    """Right answers, questions asked, and the first wrong answers."""
    right, asked, wrong = 0, 0, []
    for conversation, is_right in questions:
        answer = exported.answer(conversation, limit=80)
        asked += 1
        right += is_right(answer)
        if not is_right(answer):
            wrong.append(f"{conversation[-1][1]} {answer}")
    return right, asked, wrong[:3]


def user(text: str) -> Conversation:
    return [("user", text)]


def containing(text: str) -> Callable[[str], bool]:
    return lambda answer: text.lower() in answer.lower()


def ending_in(number: int) -> Callable[[str], bool]:
    return lambda answer: answer.rstrip(".").split()[-1:] == [str(number)]


def sums(kept_from_training: bool) -> list[Question]:
    pairs = [(a, b) for a in range(21) for b in range(21) if held_out(a, b) == kept_from_training]
    return [(user(f"What is {a} + {b}?"), ending_in(a + b)) for a, b in pairs]


def differences() -> list[Question]:
    pairs = [(a, b) for a in range(0, 21, 2) for b in range(0, a + 1, 3)]
    return [(user(f"What is {a} - {b}?"), ending_in(a - b)) for a, b in pairs]


def capitals(form: str) -> list[Question]:
    return [(user(form.format(country)), containing(city)) for country, city, _ in facts.CAPITALS]


def definitions() -> list[Question]:
    return [(user(f"What is {thing}?"), containing(meaning[:25])) for thing, meaning in facts.DEFINITIONS]


def plain_facts() -> list[Question]:
    return [(user(question), containing(short)) for question, _, short in facts.PLAIN_FACTS]


def translations() -> list[Question]:
    return [
        (user(f'Translate "{entry[0]}" to {language}.'), containing(entry[number]))
        for entry in chat.DICTIONARY
        for number, language in enumerate(chat.LANGUAGES, start=1)
    ]


def sentiments() -> list[Question]:
    texts = {
        "Positive": ["I love this film.", "What a wonderful day!", "The food was great."],
        "Negative": ["I hate this weather.", "What an awful idea!", "The service was terrible."],
        "Neutral": ["The bag is on the table.", "I bought milk on Monday."],
    }
    return [
        (user(f"Classify the sentiment: {text}"), lambda answer, label=label: answer == label)
        for label, samples in texts.items()
        for text in samples
    ]


def recalled(names: Iterable[str]) -> list[Question]:
    return [
        (
            [
                ("user", f"My name is {name}."),
                ("assistant", f"Nice to meet you, {name}!"),
                ("user", "What is my name?"),
            ],
            containing(name),
        )
        for name in names
    ]


def repeated() -> list[Question]:
    random = Random(5)
    texts = [" ".join(random.sample(chat.WORDS, 3)) for _ in range(30)]
    return [(user(f"Repeat after me: {text}"), lambda answer, text=text: answer == text) for text in texts]


def capitals_after(characters: int) -> list[Question]:
    """Capitals at the end of a long chat about other things."""
    random = Random(6)
    chat_so_far: Conversation = []
    while sum(len(content) + 20 for _, content in chat_so_far) < characters:
        chat_so_far += corpus.later_turns(random)
    return [
        ([*chat_so_far, ("user", f"What is the capital of {country}?")], containing(city))
        for country, city, _ in facts.CAPITALS[:20]
    ]


def parses(answer: str) -> bool:
    try:
        return bool(json.loads(answer)) or True
    except ValueError:
        return False


def json_answers() -> list[Question]:
    prompts = [question for question, _, _ in facts.PLAIN_FACTS[:20]]
    prompts += [f"List {count} {things}." for count in (2, 3, 4) for things in ("fruits", "cities", "birds")]
    return [([("system", "Output valid JSON."), ("user", prompt)], parses) for prompt in prompts]


UNSEEN_NAMES = texts.words("words")["names never in the corpus"]
SCORES: dict[str, Callable[[Exported], Score]] = {
    "sums 0..20, pairs trained on": lambda model: counted(model, sums(False)),
    "sums 0..20, pairs never seen": lambda model: counted(model, sums(True)),
    "differences": lambda model: counted(model, differences()),
    "capitals": lambda model: counted(model, capitals("What is the capital of {}?")),
    "capitals, words never seen": lambda model: counted(model, capitals("Do you know the capital of {}?")),
    "capitals, after 500 tokens": lambda model: counted(model, capitals_after(1600)),
    "capitals, after 1500 tokens": lambda model: counted(model, capitals_after(4800)),
    "capitals, after 3500 tokens": lambda model: counted(model, capitals_after(11200)),
    "definitions": lambda model: counted(model, definitions()),
    "plain facts": lambda model: counted(model, plain_facts()),
    "translations": lambda model: counted(model, translations()),
    "sentiment": lambda model: counted(model, sentiments()),
    "names recalled": lambda model: counted(model, recalled(chat.NAMES[:30])),
    "names recalled, never seen": lambda model: counted(model, recalled(UNSEEN_NAMES)),
    "three words repeated": lambda model: counted(model, repeated()),
    "JSON that parses": lambda model: counted(model, json_answers()),
}
