"""Words, letters, numbers and codes that the answer has to copy from the prompt."""

from training import texts
from training.invented import Draws
from training.phrases import Conversation, fill_one

TEMPLATES = texts.lines("copying")


def some_words(random: Draws, most: int = 6) -> list[str]:
    """Up to `most` values of one or several kinds."""
    count = random.randint(1, most)
    if random.random() < 0.4:
        return [random.any_value() for _ in range(count)]
    make = random.choice((random.word, random.word, random.name, random.letters, random.code))
    return [make() for _ in range(count)]


def repeated_words(random: Draws) -> Conversation:
    """One or two texts to repeat exactly."""
    conversation: Conversation = []
    for _ in range(random.choice((1, 1, 2))):
        text = " ".join(some_words(random))
        conversation += [("user", fill_one(random, TEMPLATES["repeat"], text=text)), ("assistant", text)]
    return conversation


def listed_words(random: Draws) -> Conversation:
    """The words of a line as a numbered list, a bulleted list or separated by commas."""
    words = [random.any_value() for _ in range(random.randint(2, 6))]
    form = random.choice(("numbered list", "bullet list", "list with commas"))
    if form == "numbered list":
        answer = "\n".join(f"{number}. {word}" for number, word in enumerate(words, start=1))
    else:
        answer = "\n".join(f"- {word}" for word in words) if form == "bullet list" else ", ".join(words)
    return [("user", fill_one(random, TEMPLATES["as a list"], form=form, text=" ".join(words))), ("assistant", answer)]


def value_lookup(random: Draws) -> Conversation:
    """Keys and values in the prompt, with questions about one to three of them."""
    count = random.randint(2, 7)
    keys = list(dict.fromkeys(random.any_value() for _ in range(count)))
    values = [random.any_value() for _ in keys]
    sign = random.choice((": ", " = ", " is ", " -> "))
    pairs = random.choice(("\n", ", ", "; ")).join(
        f"{key}{sign}{value}" for key, value in zip(keys, values, strict=True)
    )
    asked = random.sample(range(len(keys)), min(len(keys), random.choice((1, 1, 2, 3))))
    first = True
    conversation: Conversation = []
    for index in asked:
        question = fill_one(random, TEMPLATES["look up"], key=keys[index])
        conversation += [("user", f"{pairs}\n\n{question}" if first else question), ("assistant", values[index])]
        first = False
    return conversation


def word_at_place(random: Draws) -> Conversation:
    """A question about the first or the last of several words."""
    words = [random.any_value() for _ in range(random.randint(2, 6))]
    place, index = random.choice((("first", 0), ("last", -1)))
    question = fill_one(random, TEMPLATES["at a place"], place=place, text=" ".join(words))
    return [("user", question), ("assistant", words[index])]


def filled_sentence(random: Draws) -> Conversation:
    """A sentence in which one word is to be replaced by another."""
    template, question, answer = random.choice(texts.tables("copying")["sentences"])
    values = {
        "a": random.known_or_invented("names"),
        "b": random.known_or_invented("cities"),
        "c": random.known_or_invented("nouns"),
        "n": random.number(1, 2),
    }
    return [
        ("user", fill_one(random, [f"{template} {question}"], **values)),
        ("assistant", fill_one(random, [answer], **values)),
    ]
