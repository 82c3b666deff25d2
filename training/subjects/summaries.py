"""Summaries: short articles whose first sentence is the summary, and requests without an article."""

from training import texts
from training.invented import WORDS, Draws
from training.phrases import Conversation, exchange, fill, fill_one

NEWS = texts.lines("news")
BUILDINGS = texts.words("news")["buildings"]
FORMS = ("summaries", "requests", "buildings")
ARTICLES = [name for name in NEWS if name not in FORMS]
MANNERS = texts.lines("manners")


def sentences(random: Draws) -> list[str]:
    values = {
        "Place": random.known_or_invented("cities"),
        "Other": random.known_or_invented("cities"),
        "Name": random.known_or_invented("names"),
        "day": random.choice(WORDS["days"]),
        "day2": random.choice(WORDS["days"]),
        "month": random.choice(WORDS["months"]),
        "n": random.number(1, 2, 3),
        "animal": random.choice(WORDS["nouns"][:18]),
        "thing": random.choice(WORDS["things"]),
        "building": random.choice(BUILDINGS),
    }
    return [fill(random, sentence, **values) for sentence in NEWS[random.choice(ARTICLES)]]


def summary(random: Draws) -> Conversation:
    written = sentences(random)
    kept = written[: random.choice((3, 4))]
    request = fill_one(random, NEWS["requests"], text=" ".join(kept)).replace("\\n", "\n")
    return [("user", request), ("assistant", fill_one(random, NEWS["summaries"], first=kept[0]))]


def missing_article(random: Draws) -> Conversation:
    return exchange(random, fill_one(random, MANNERS["summary requests"]), fill_one(random, MANNERS["no article"]))
