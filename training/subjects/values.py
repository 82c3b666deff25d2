"""Values of many kinds: how a text says them, what JSON says, and their type as a JSON Schema."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training import texts
from training.invented import DIGITS, WORDS, Draws
from training.phrases import join_words

LISTS = texts.words("scenes")
STRING, INTEGER, NUMBER, BOOLEAN = ({"type": name} for name in ("string", "integer", "number", "boolean"))


@dataclass(frozen=True)
class Value:
    """`spoken` is the text in a sentence, `json` the value in a document, `schema` its type."""

    spoken: str
    json: Any
    schema: dict[str, Any]


def person(random: Draws) -> str:
    kind = random.random()
    if kind < 0.12 and not random.kept_out:
        return random.choice(LISTS["foreign"])
    first = random.known_or_invented("names", known=0.5)
    if kind < 0.3:
        last = random.name() if random.kept_out or random.random() < 0.5 else random.choice(LISTS["last names"])
        return f"{first} {last}"
    return f"{random.choice(('Dr.', 'Mr.', 'Mrs.', 'Prof.'))} {first}" if kind < 0.36 else first


def city(random: Draws) -> str:
    if random.random() < 0.12 and not random.kept_out:
        return random.choice(LISTS["foreign"])
    return random.known_or_invented("cities", known=0.5)


def name(random: Draws) -> str:
    kind = random.random()
    if kind < 0.2:
        return f"{random.name()} {random.choice(LISTS['titles'])}"
    return f"{random.name()} {random.name()}" if kind < 0.3 else random.name()


def title(random: Draws) -> str:
    noun = random.choice(LISTS["titles"])
    return random.choice((f"The {random.name()} {noun}", f"The {noun}", f"{random.name()} {noun}", name(random)))


def noun(random: Draws) -> str:
    return random.known_or_invented("nouns", known=0.6)


def event(random: Draws) -> str:
    if random.kept_out or random.random() < 0.3:
        return f"{random.word()} {random.choice(('fair', 'party', 'meeting', 'show', 'day', 'course'))}"
    return random.choice(LISTS["events"])


def phrase(random: Draws) -> str:
    if random.kept_out or random.random() < 0.5:
        return " ".join(random.any_value() for _ in range(random.choice((1, 2, 2, 3))))
    return random.choice(LISTS["phrases"]).replace("call", random.choice(("call", "Call", "ask")))


def date(random: Draws) -> str:
    month, day, year = random.choice(WORDS["months"]), random.randint(1, 28), random.randint(1990, 2040)
    written = f"{year}-{random.randint(1, 12):02d}-{day:02d}"
    return random.choice((f"{day} {month}", f"{month} {day}", written, written, f"{day} {month} {year}"))


def email(random: Draws) -> str:
    return f"{random.word()}@{host(random)}"


def host(random: Draws) -> str:
    return f"{random.word()}.{random.choice(('com', 'org', 'net', 'example', 'example', 'io'))}"


def phone(random: Draws) -> str:
    first, second = ("".join(random.choices(DIGITS, k=random.randint(3, 5))) for _ in range(2))
    return random.choice((f"{first}-{second}", f"+{first}{second}", f"0{first} {second}", f"555-{second}"))


def street(random: Draws) -> str:
    number, kind = random.randint(1, 99), random.choice(("Street", "Road", "Lane", "Avenue", "Square"))
    return random.choice((f"{random.name()} {kind} {number}", f"{number} {random.name()} {kind}"))


STRINGS: dict[str, Callable[[Draws], str]] = {
    "people": person,
    "cities": city,
    "names": name,
    "titles": title,
    "nouns": noun,
    "events": event,
    "phrases": phrase,
    "dates": date,
    "emails": email,
    "hosts": host,
    "phones": phone,
    "streets": street,
    "words": lambda random: random.known_or_invented("words", known=0.3),
    "codes": lambda random: random.code(),
    "clocks": lambda random: f"{random.randrange(24):02d}:{random.randrange(60):02d}",
    "zips": lambda random: "".join(random.choices(DIGITS, k=5)),
    "versions": lambda random: ".".join(str(random.randrange(20)) for _ in range(random.choice((2, 3)))),
    "files": lambda random: f"{random.word()}.{random.choice(('txt', 'png', 'csv', 'pdf', 'py', 'md'))}",
    "plurals": lambda random: random.choice(LISTS["plurals"]),
}
INTEGERS: dict[str, Callable[[Draws], int]] = {
    "ages": lambda random: random.randint(2, 99),
    "digits": lambda random: random.randint(1, 9),
    "numbers": lambda random: int(random.number(2, 3, 4)),
    "years": lambda random: random.randint(1700, 2040),
}


def decimal(random: Draws) -> Value:
    number = random.choice((random.randint(1, 999) / 10, random.randint(100, 20_000) / 100))
    return Value(random.choice((str(number), f"{number:.2f}")), number, NUMBER)


def flag(random: Draws, choices: list[str]) -> Value:
    """The first choice is true, the second one false."""
    truth = random.random() < 0.5
    return Value(choices[0 if truth else 1], truth, BOOLEAN)


def enumeration(random: Draws, choices: list[str]) -> Value:
    chosen = random.choice(choices)
    return Value(chosen, chosen, {"type": "string", "enum": choices})


def constant(choices: list[str]) -> Value:
    """A value that the text doesn't say in this form."""
    known = ["positive", "negative", "neutral"] if choices[0] in ("positive", "negative", "neutral") else choices
    return Value("", choices[0], {"type": "string", "enum": known})


def draw_value(random: Draws, kind: str) -> Value:
    """A value of a kind: a name above or a section of words, a list such as `people*`, `flag(yes;no)`, `enum(a;b)`."""
    kind, _, rest = kind.partition("(")
    choices = rest.removesuffix(")").split(";")
    if kind.endswith("*"):
        members = [draw_value(random, kind[:-1]) for _ in range(random.choice((1, 2, 2, 3, 3, 4)))]
        members = list({member.spoken: member for member in members}.values())
        spoken = join_words([member.spoken for member in members])
        return Value(spoken, [member.json for member in members], {"type": "array", "items": members[0].schema})
    if kind == "flag":
        return flag(random, choices)
    if kind == "enum":
        return enumeration(random, choices)
    if kind == "const":
        return constant(choices)
    if kind == "decimals":
        return decimal(random)
    if kind in INTEGERS:
        number = INTEGERS[kind](random)
        return Value(str(number), number, INTEGER)
    if kind in STRINGS:
        text = STRINGS[kind](random)
        return Value(text, text, STRING)
    return enumeration(random, WORDS[kind]) if random.random() < 0.1 else plain(random.choice(WORDS[kind]))


def plain(text: str) -> Value:
    return Value(text, text, STRING)
