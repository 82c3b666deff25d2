"""Questions about what the user said earlier: names, places, numbers, favourites."""

from training import texts
from training.invented import WORDS, Draws
from training.phrases import Conversation, fill, fill_one, vary_prompt
from training.subjects.chat import small_talk
from training.subjects.facts import any_fact

FACTS = texts.tables("memory")["facts"]
ANSWERS = texts.lines("memory")


def draw_value(random: Draws, kind: str) -> str:
    if kind == "ages":
        return str(random.randint(2, 99))
    if kind == "numbers":
        return random.number(2, 3, 4, 5)
    if kind == "codes":
        return random.code()
    if kind in ("days", "months"):
        return random.choice(WORDS[kind])
    return random.known_or_invented(kind, known=0.3)


def tells_name(statement: str) -> bool:
    return statement.startswith(("My name", "I am {v}.", "I'm {v}", "Hi, ", "Hello, ", "Call me"))


def acknowledgement(random: Draws, statement: str, value: str) -> str:
    return fill_one(random, ANSWERS["answers to names" if tells_name(statement) else "answers"], v=value)


def aside(random: Draws) -> Conversation:
    """A turn about something else."""
    if random.random() < 0.6:
        return small_talk(random)
    fact = any_fact(random)
    return [("user", fact.question), ("assistant", fact.answer)]


def fact_questions(random: Draws) -> Conversation:
    """One to four facts, told together or in separate turns, and questions about some of them."""
    told = {question: (statement, answer, kind) for statement, question, answer, kind in random.choices(FACTS, k=4)}
    chosen = list(told.items())[: random.choice((1, 1, 2, 3, 4))]
    values = {question: draw_value(random, kind) for question, (_, _, kind) in chosen}
    conversation: Conversation = []
    if random.random() < 0.3:
        text = " ".join(statement.replace("{v}", values[question]) for question, (statement, _, _) in chosen)
        conversation += [("user", text), ("assistant", fill(random, "[Noted|All right|Got it|I will remember that]."))]
    else:
        for question, (statement, _, _) in chosen:
            text = acknowledgement(random, statement, values[question])
            conversation += [("user", statement.replace("{v}", values[question])), ("assistant", text)]
            if random.random() < 0.2:
                conversation += aside(random)
    while random.random() < 0.35:
        conversation += aside(random)
    random.shuffle(chosen)
    for question, (_, answer, _) in chosen[: random.choice((1, 1, 2, 4))]:
        conversation += [
            ("user", vary_prompt(random, question)),
            ("assistant", answer.replace("{v}", values[question])),
        ]
    return conversation


def untold_question(random: Draws) -> Conversation:
    """A question about a fact that the user didn't tell."""
    (statement, _, _, kind), (_, question, _, _) = random.sample(FACTS, 2)
    if statement.split()[:3] == question.split()[:3] or "name" in question:
        question, statement, kind = "What is my favourite colour?", "I live in {v}.", "cities"
    value = draw_value(random, kind)
    told = [("user", statement.replace("{v}", value)), ("assistant", acknowledgement(random, statement, value))]
    return [
        *(told if random.random() < 0.6 else []),
        ("user", question),
        ("assistant", fill_one(random, ANSWERS["not told"])),
    ]


def untold_questions(conversation: Conversation) -> list[str]:
    """The questions about facts that the conversation doesn't tell."""
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


def untold_answer(random: Draws) -> str:
    return fill_one(random, ANSWERS["untold"])


def varied_untold_question(random: Draws) -> Conversation:
    """A question about a fact that the user didn't tell, on its own or after other facts and turns."""
    asked, *others = random.sample(FACTS, random.choice((1, 1, 2, 2, 3)))
    conversation: Conversation = []
    for statement, _, _, kind in others:
        if not (tells_name(asked[0]) and tells_name(statement)):
            value = draw_value(random, kind)
            conversation += [("user", statement.replace("{v}", value))]
            conversation += [("assistant", acknowledgement(random, statement, value))]
    while random.random() < 0.25:
        conversation += aside(random)
    question = asked[1] if others or random.random() < 0.5 else fill_one(random, ANSWERS["other questions"])
    return [*conversation, ("user", vary_prompt(random, question)), ("assistant", untold_answer(random))]
