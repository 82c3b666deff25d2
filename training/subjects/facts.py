"""Short facts: capitals, definitions, opposites, kinds of things; each with a full and a short answer."""

from dataclasses import dataclass
from random import Random

from training import texts
from training.phrases import Conversation, capitalise, exchange, fill, fill_one, with_article


@dataclass(frozen=True)
class Fact:
    question: str
    answer: str
    short: str


TABLES = texts.tables("facts")
KINDS = texts.words("kinds")
CAPITALS = TABLES["capitals"]
DEFINITIONS = TABLES["definitions"]
PLAIN_FACTS = TABLES["plain facts"]
OPPOSITES = TABLES["opposites"]


def fact_of_a_capital(random: Random) -> Fact:
    country, city, continent = random.choice(CAPITALS)
    questions = [
        "What is the capital of {country}?",
        "What is the capital of {country}?",
        "What's the capital of {country}?",
        "Which city is the capital of {country}?",
        "Tell me the capital of {country}.",
        "Name the capital of {country}.",
        "Capital of {country}?",
    ]
    answers = ["The capital of {country} is {city}.", "{city} is the capital of {country}."]
    weights = (9, 1)
    answer = fill(random, random.choices(answers, weights)[0], country=country, city=city)
    if random.random() < 0.1:
        where = f"In which continent is {city}?", f"{city} is in {continent}.", continent
        return Fact(*where)
    return Fact(fill_one(random, questions, country=country), answer.replace("D.C..", "D.C."), city)


def fact_of_a_definition(random: Random) -> Fact:
    thing, meaning = random.choice(DEFINITIONS)
    questions = [
        "What is {thing}?",
        "What is {thing}?",
        "What's {thing}?",
        "Define {bare}.",
        "Explain {bare} [in one sentence|briefly|in simple words].",
        "What does {bare} mean?",
        "What is meant by {bare}?",
    ]
    bare = thing.removeprefix("an ").removeprefix("a ")
    question = fill_one(random, questions, thing=thing, bare=bare)
    return Fact(question, f"{capitalise(thing)} is {meaning}.", capitalise(meaning))


def plain_fact(random: Random) -> Fact:
    return Fact(*random.choice(PLAIN_FACTS))


def fact_of_an_opposite(random: Random) -> Fact:
    pair = random.choice(OPPOSITES)
    word, opposite = pair if random.random() < 0.5 else pair[::-1]
    questions = [
        "What is the opposite of {word}?",
        "What's the opposite of {word}?",
        'What is the opposite of "{word}"?',
        "Give me [the opposite|an antonym] of {word}.",
    ]
    return Fact(fill_one(random, questions, word=word), f"The opposite of {word} is {opposite}.", capitalise(opposite))


KINDS_OF_FACTS = (fact_of_a_capital, fact_of_a_definition, plain_fact, fact_of_an_opposite)


def any_fact(random: Random) -> Fact:
    return random.choices(KINDS_OF_FACTS, (4, 4, 3, 1))[0](random)


def question_of_fact(random: Random) -> Conversation:
    """One to three facts in a row."""
    facts = [any_fact(random) for _ in range(random.choice((1, 1, 1, 2, 3)))]
    return [message for fact in facts for message in exchange(random, fact.question, fact.answer)]


def difference(random: Random) -> Conversation:
    """A question about the difference between two things, answered with both definitions."""
    (first, meaning), (second, other) = random.sample(DEFINITIONS, 2)
    question = f"What is the difference between {first} and {second}?"
    answer = f"{capitalise(first)} is {meaning}, while {second} is {other}."
    return exchange(random, question, answer)


def choice_between_kinds(random: Random) -> Conversation:
    """A question about which of two kinds a thing belongs to."""
    kind = random.choice(list(KINDS))
    thing = random.choice(KINDS[kind])
    other = random.choice([name for name in KINDS if name != kind and thing not in KINDS[name]])
    first, second = random.sample((kind, other), 2)
    question = f"Is {with_article(thing)} {with_article(first)} or {with_article(second)}?"
    answer = f"{capitalise(with_article(thing))} is {with_article(kind)}."
    return exchange(random, question, answer)
