"""System prompts that ask for a style, such as brief, polite, pirate or JSON, with questions about facts and sums."""

import json
from collections.abc import Callable

from training import texts
from training.invented import Draws
from training.phrases import Conversation, fill, fill_one, vary_prompt
from training.subjects.arithmetic import operands
from training.subjects.facts import Fact, any_fact
from training.subjects.jokes import joke

MANNERS = texts.lines("manners")
BRIEF = [
    "Be brief.",
    "Answer briefly.",
    "Answer in one word.",
    "You give short answers.",
    "Keep your answers short.",
]
PIRATE = ["You are a pirate.", "Talk like a pirate.", "Answer like a pirate.", "You are a friendly pirate."]
POLITE = [
    "You are a butler.",
    "You are a very polite butler.",
    "Answer like an English butler.",
    "Be very polite.",
]
CHEERFUL = [
    "You are cheerful.",
    "Be enthusiastic!",
    "You are a very excited assistant.",
    "Answer with enthusiasm.",
]
AS_JSON = ["Output valid JSON.", "Answer in JSON.", "Respond only with valid JSON.", "You answer in JSON."]
PLAIN = [
    "You are a helpful assistant.",
    "You are helpful.",
    "You are a friendly assistant.",
    "Answer the question.",
]


def as_pirate(random: Draws, fact: Fact) -> str:
    end = fill(random, "[matey|me hearty|ye landlubber|or walk the plank]")
    return fill_one(random, MANNERS["pirate"], answer=fact.answer, end=end)


def as_butler(random: Draws, fact: Fact) -> str:
    return fill_one(random, MANNERS["butler"], answer=fact.answer)


def as_enthusiast(random: Draws, fact: Fact) -> str:
    return fill_one(random, MANNERS["enthusiast"], answer=fact.answer)


def as_json(random: Draws, fact: Fact) -> str:
    return json.dumps({"answer": fact.short}, ensure_ascii=False)


ATTITUDES: list[tuple[list[str], Callable[[Draws, Fact], str]]] = [
    (BRIEF, lambda _random, fact: fact.short + ("" if fact.short.endswith(".") else ".")),
    (PIRATE, as_pirate),
    (POLITE, as_butler),
    (CHEERFUL, as_enthusiast),
    (AS_JSON, as_json),
    (AS_JSON, as_json),
    (PLAIN, lambda _random, fact: fact.answer),
]


def any_question(random: Draws) -> Fact:
    """A fact, a sum or a joke."""
    kind = random.random()
    if kind < 0.2:
        a, sign, b, c = operands(random)
        return Fact(f"What is {a} {sign} {b}?", f"{a} {sign} {b} = {c}.", str(c))
    if kind < 0.3:
        text = joke(random).replace("\n\n", " ").replace("\n", " ").removeprefix("Here is one: ")
        return Fact("Tell me a joke.", text, text)
    if kind < 0.4:
        return Fact(random.choice(("Hello!", "Hi!")), "How can I help you?", "Hello")
    return any_fact(random)


def attitude(random: Draws) -> Conversation:
    """A system prompt, then one or two questions answered in its style."""
    systems, manner = random.choice(ATTITUDES)
    conversation: Conversation = [("system", random.choice(systems))]
    for _ in range(random.choice((1, 1, 2))):
        fact = any_question(random)
        conversation += [("user", vary_prompt(random, fact.question)), ("assistant", manner(random, fact))]
    return conversation
