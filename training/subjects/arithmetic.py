"""Sums, differences and products of small numbers, in one question or several in a row."""

from training import texts
from training.invented import Draws
from training.phrases import Conversation, capitalise, fill_one, vary_prompt

QUESTIONS = [
    "What is {a} {sign} {b}?",
    "What is {a} {sign} {b}?",
    "What's {a} {sign} {b}?",
    "{a} {sign} {b}",
    "{a} {sign} {b} = ?",
    "{a} {sign} {b} =",
    "How much is {a} {sign} {b}?",
    "[Calculate|Compute|Work out] {a} {sign} {b}.",
    "What is {a} {word} {b}?",
    "How much is {a} {word} {b}?",
    "Can you tell me what {a} {sign} {b} is?",
    "And {a} {sign} {b}?",
]
ANSWERS = [
    "{a} {sign} {b} = {c}",
    "{a} {sign} {b} = {c}.",
    "{a} {sign} {b} is {c}.",
    "{a} {sign} {b} equals {c}.",
]
STORIES = [
    ("I have {a} [apples|coins|books|eggs|pens] and get {b} more. How many do I have?", "+"),
    ("There are {a} [birds|cats|cars] and {b} more arrive. How many are there?", "+"),
    ("I have {a} [apples|coins|books|eggs|pens] and give away {b}. How many are left?", "-"),
]
NUMBER_WORDS = texts.words("words")["numbers"]
# Large numbers help with small ones: there are too many pairs to memorise, so the model has to learn to add.
REACHES = (10, 20, 20, 20, 50, 99)
NAMES = {"+": "plus", "-": "minus", "*": "times"}


def held_out(a: int, b: int) -> bool:
    """Whether the sum of `a` and `b`, in either order, is held out."""
    return a + b > 0 and ((7 * a + 3 * b) % 17 == 0 or (7 * b + 3 * a) % 17 == 0)


def held_out_difference(a: int, b: int) -> bool:
    """Whether the difference `a` - `b` is held out."""
    return (5 * a + 3 * b) % 11 == 4


def addends(random: Draws) -> tuple[int, int]:
    """Two numbers whose sum is held out if and only if `random` draws held-out values."""
    while True:
        reach = random.choice(REACHES)
        a, b = random.randint(0, reach), random.randint(0, reach)
        if held_out(a, b) == random.kept_out:
            return a, b


def subtrahends(random: Draws) -> tuple[int, int]:
    while True:
        reach = random.choice(REACHES)
        b, a = sorted((random.randint(0, reach), random.randint(0, reach)))
        if held_out_difference(a, b) == random.kept_out:
            return a, b


def operands(random: Draws) -> tuple[int, str, int, int]:
    """Two numbers, a sign and the result, which is never negative; most are sums."""
    sign = random.choices("+-*", (58, 34, 8))[0]
    if sign == "*":
        a, b = random.randint(0, 10), random.randint(0, 10)
        return a, sign, b, a * b
    if sign == "-":
        a, b = subtrahends(random)
        return a, sign, b, a - b
    a, b = (2, 2) if random.random() < 0.02 and not random.kept_out else addends(random)
    return a, sign, b, a + b


def arithmetic_turn(random: Draws) -> Conversation:
    a, sign, b, c = operands(random)
    question = fill_one(random, QUESTIONS, a=a, b=b, sign=sign, word=NAMES[sign])
    answer = fill_one(random, ANSWERS, a=a, b=b, c=c, sign=sign)
    return [("user", vary_prompt(random, question)), ("assistant", answer)]


def question_of_arithmetic(random: Draws) -> Conversation:
    """One to six questions in a row. More turns give more answer tokens per prompt."""
    return [message for _ in range(random.choice((1, 1, 2, 4, 6))) for message in arithmetic_turn(random)]


def sum_in_words(random: Draws) -> Conversation:
    """A sum with words for the sign and, up to ten, for the numbers."""
    a, b = addends(random)
    if random.random() < 0.5 or max(a, b) > 10:
        question = fill_one(random, ["What is the sum of {a} and {b}?", "Add {a} and {b}.", "{a} plus {b}"], a=a, b=b)
        return [("user", vary_prompt(random, question)), ("assistant", f"{a} + {b} = {a + b}")]
    words = {"a": NUMBER_WORDS[a], "b": NUMBER_WORDS[b], "c": NUMBER_WORDS[a + b]}
    question = fill_one(random, ["What is {a} plus {b}?", "What's {a} plus {b}?", "How much is {a} plus {b}?"], **words)
    answer = fill_one(random, ["{a} plus {b} is {c}."], **words)
    return [("user", vary_prompt(random, question)), ("assistant", capitalise(answer))]


def larger(random: Draws) -> Conversation:
    """A question about which of two numbers is larger or smaller."""
    a, b = random.sample(range(21), 2)
    word = random.choice(("larger", "bigger", "smaller"))
    best = min(a, b) if word == "smaller" else max(a, b)
    question = fill_one(
        random, ["Which is {word}, {a} or {b}?", "Which number is {word}: {a} or {b}?"], word=word, a=a, b=b
    )
    return [("user", question), ("assistant", f"{best} is {word}.")]


def word_problem(random: Draws) -> Conversation:
    template, sign = random.choice(STORIES)
    a, b = sorted((random.randint(1, 12), random.randint(1, 10)), reverse=True)
    if held_out(a, b) if sign == "+" else held_out_difference(a, b):
        a, b = 3, 1
    c = a + b if sign == "+" else a - b
    answer = fill_one(random, ["{a} {sign} {b} = {c}, so the answer is {c}."], a=a, b=b, c=c, sign=sign)
    return [("user", fill_one(random, [template], a=a, b=b)), ("assistant", answer)]


def counting(random: Draws) -> Conversation:
    first = random.choice((1, 1, random.randint(0, 10)))
    last = first + random.randint(4, 9)
    numbers = [str(number) for number in range(first, last + 1)]
    question, order = f"Count from {first} to {last}.", numbers
    if first == 1 and random.random() < 0.5:
        question = f"Count to {last}."
    if random.random() < 0.25:
        question, order = f"Count down from {last} to {first}.", numbers[::-1]
    return [("user", vary_prompt(random, question)), ("assistant", ", ".join(order))]
