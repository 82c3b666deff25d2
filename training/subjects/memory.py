"""What the user said about themselves, asked for turns later: names, places, numbers, favourites."""

from training import texts
from training.invented import WORDS, Draws
from training.phrases import Conversation, casually, fill, sketch
from training.subjects.chat import small_talk
from training.subjects.facts import any_fact

FACTS = texts.tables("memory")["facts"]
ANSWERS = texts.lines("memory")


def value_of(random: Draws, kind: str) -> str:
    if kind == "ages":
        return str(random.randint(2, 99))
    if kind == "numbers":
        return random.number(2, 3, 4, 5)
    if kind == "codes":
        return random.code()
    if kind in ("days", "months"):
        return random.choice(WORDS[kind])
    return random.mixed(kind, known=0.3)


def tells_name(statement: str) -> bool:
    return statement.startswith(("My name", "I am {v}.", "I'm {v}", "Hi, ", "Hello, ", "Call me"))


def acknowledged(random: Draws, statement: str, value: str) -> str:
    return sketch(random, ANSWERS["answers to names" if tells_name(statement) else "answers"], v=value)


def aside(random: Draws) -> Conversation:
    """A turn about something else."""
    if random.random() < 0.6:
        return small_talk(random)
    fact = any_fact(random)
    return [("user", fact.question), ("assistant", fact.answer)]


def facts_remembered(random: Draws) -> Conversation:
    """One to four facts, told together or apart, and questions about some of them."""
    told = {question: (statement, answer, kind) for statement, question, answer, kind in random.choices(FACTS, k=4)}
    chosen = list(told.items())[: random.choice((1, 1, 2, 3, 4))]
    values = {question: value_of(random, kind) for question, (_, _, kind) in chosen}
    conversation: Conversation = []
    if random.random() < 0.3:
        text = " ".join(statement.replace("{v}", values[question]) for question, (statement, _, _) in chosen)
        conversation += [("user", text), ("assistant", fill(random, "[Noted|All right|Got it|I will remember that]."))]
    else:
        for question, (statement, _, _) in chosen:
            text = acknowledged(random, statement, values[question])
            conversation += [("user", statement.replace("{v}", values[question])), ("assistant", text)]
            if random.random() < 0.2:
                conversation += aside(random)
    while random.random() < 0.35:
        conversation += aside(random)
    random.shuffle(chosen)
    for question, (_, answer, _) in chosen[: random.choice((1, 1, 2, 4))]:
        conversation += [("user", casually(random, question)), ("assistant", answer.replace("{v}", values[question]))]
    return conversation


def not_told(random: Draws) -> Conversation:
    """A question about something that the user did not say."""
    (statement, _, _, kind), (_, question, _, _) = random.sample(FACTS, 2)
    if statement.split()[:3] == question.split()[:3] or "name" in question:
        question, statement, kind = "What is my favourite colour?", "I live in {v}.", "cities"
    value = value_of(random, kind)
    told = [("user", statement.replace("{v}", value)), ("assistant", acknowledged(random, statement, value))]
    return [
        *(told if random.random() < 0.6 else []),
        ("user", question),
        ("assistant", sketch(random, ANSWERS["not told"])),
    ]


def untold_questions(conversation: Conversation) -> list[str]:
    """Those that no statement of the conversation answers."""
    said = [content for role, content in conversation if role == "user"]

    def is_told(statement: str) -> bool:
        return any(content.startswith(statement.partition("{v}")[0]) for content in said)

    told = [statement for statement, *_ in FACTS if is_told(statement)]
    knows_name = any(map(tells_name, told))
    return [
        question
        for statement, question, *_ in FACTS
        if statement not in told and not (knows_name and tells_name(statement))
    ]


def not_said(random: Draws) -> str:
    return sketch(random, ANSWERS["untold"])


def asked_untold(random: Draws) -> Conversation:
    """A question about what the user never said, in an empty conversation or after other facts and turns."""
    asked, *others = random.sample(FACTS, random.choice((1, 1, 2, 2, 3)))
    conversation: Conversation = []
    for statement, _, _, kind in others:
        if not (tells_name(asked[0]) and tells_name(statement)):
            value = value_of(random, kind)
            conversation += [("user", statement.replace("{v}", value))]
            conversation += [("assistant", acknowledged(random, statement, value))]
    while random.random() < 0.25:
        conversation += aside(random)
    question = asked[1] if others or random.random() < 0.5 else sketch(random, ANSWERS["other questions"])
    return [*conversation, ("user", casually(random, question)), ("assistant", not_said(random))]
