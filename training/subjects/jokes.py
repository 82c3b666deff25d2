"""Jokes: a question and a punchline, told in several ways."""

from random import Random

from training import texts
from training.phrases import Conversation, exchange, fill, fill_one

JOKES = texts.tables("jokes")["jokes"]
REQUESTS = [
    "Tell me a joke.",
    "Tell me a joke.",
    "Tell me a joke.",
    "Tell me [a funny joke|a short joke|another joke|a good joke].",
    "Do you know [a joke|any jokes]?",
    "Make me laugh.",
    "Say something funny.",
    "[Give me|I need|I want to hear] a joke.",
]
FRAMES = [
    "{question} {point}",
    "{question}\n\n{point}",
    "Here is one: {question} {point}",
    "{question}\n{point}",
]
FRAME_WEIGHTS = (7, 2, 2, 1)


def joke(random: Random, told: str = "") -> str:
    """A joke that isn't the one in `told`."""
    question, point = random.choice([entry for entry in JOKES if entry[0][:20] not in told])
    if question.startswith("What do you call a sleeping"):
        animal, answer = random.choice((("bull", "bulldozer"), ("dinosaur", "dino-snore")))
        question, point = f"What do you call a sleeping {animal}?", f"A {answer}."
    return fill(
        random,
        random.choices(FRAMES, FRAME_WEIGHTS)[0],
        question=fill(random, question),
        point=fill(random, point),
    )


def joke_request(random: Random) -> Conversation:
    first = joke(random)
    conversation = exchange(random, fill_one(random, REQUESTS), first)
    if random.random() < 0.2:
        again = fill_one(random, ["Another one!", "[Tell me another one.|One more, please.]", "Haha, again!"])
        conversation += [("user", again), ("assistant", joke(random, first))]
    return conversation


def riddle_answer(random: Random) -> Conversation:
    """The user asks a joke's question, and the answer is its punchline."""
    question, point = random.choice([entry for entry in JOKES if "[" not in "".join(entry)])
    return exchange(random, question, point)
