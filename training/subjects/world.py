"""Documents of the demo's world: jokes, recipes, facts, sums with their steps, lists, reviews, translations."""

import json
from collections.abc import Callable
from typing import Any

from training import texts
from training.invented import Draws
from training.phrases import Conversation, capitalise, fill, fill_one, sample_in_order, vary_prompt, with_article
from training.subjects import advice, chat, facts, jokes
from training.subjects.arithmetic import operands
from training.subjects.lists import COLLECTIONS, count_and_things
from training.subjects.values import noun

FRAMES = texts.lines("world")
Document = tuple[str, dict[str, Any]]


def keyed(random: Draws, names: str, *values: Any) -> dict[str, Any]:
    """An object whose keys are named by `names`, such as `setup|question punchline|answer`."""
    chosen = [random.choice(choices.split("|")[:1] * 2 + choices.split("|")) for choices in names.split()]
    return dict(zip(chosen, values, strict=True))


def joke(random: Draws) -> Document:
    question, point = (
        fill(random, text) for text in random.choice([each for each in jokes.JOKES if "[" not in each[1]])
    )
    document = keyed(random, "setup|question|first punchline|answer|point|second", question, point)
    if random.random() < 0.25:
        document["rating"] = random.choice((None, *range(1, 11)))
    return fill_one(random, FRAMES["jokes"], theme=noun(random) + "s"), document


def recipe(random: Draws) -> Document:
    dish = random.choice(list(advice.RECIPES))
    ingredients, *steps = advice.RECIPES[dish]
    bare = dish.removeprefix("an ").removeprefix("a ")
    document = keyed(
        random, "name|title|dish|recipe ingredients|items steps|instructions", bare, ingredients.split(", "), steps
    )
    return fill_one(random, advice.RECIPE_REQUESTS, dish=dish), document


def capital(random: Draws) -> Document:
    country, city, continent = random.choice(facts.CAPITALS)
    values = (capitalise(country.removeprefix("the ")), city)
    if random.random() < 0.3:
        document = keyed(random, "country|nation capital|city continent", *values, continent)
    else:
        document = keyed(random, "country|nation|state capital|city|name", *values)
    return fill_one(random, FRAMES["capitals"], country=country), document


def fact(random: Draws) -> Document:
    found = facts.any_fact(random)
    short, full = found.short, found.answer
    kind = random.random()
    if kind < 0.4:
        document = keyed(random, "answer|response|result|text|final_answer", random.choice((short, full)))
    elif kind < 0.7:
        document = keyed(random, "question|query answer|response", found.question, short)
    else:
        document = keyed(random, "answer|short explanation|reason|details|justification|long", short, full)
    return found.question, document


def definition(random: Draws) -> Document:
    thing, meaning = random.choice(facts.DEFINITIONS)
    document = keyed(random, "term|word|name definition|meaning|explanation|description", thing, meaning)
    return fill_one(random, FRAMES["definitions"], thing=thing), document


def calculation(random: Draws) -> Document:
    """A sum with a step, and the answer."""
    a, sign, b, c = operands(random)
    explanation = fill_one(random, FRAMES[f"steps of {sign}"], a=a, b=b)
    steps = [
        keyed(random, "explanation|thought|description|step output|result|math", explanation, f"{a} {sign} {b} = {c}")
    ]
    if random.random() < 0.3:
        return fill_one(random, FRAMES["sums"], a=a, sign=sign, b=b), keyed(
            random, "steps|work final_answer|answer", [explanation], str(c)
        )
    return (
        fill_one(random, FRAMES["sums"], a=a, sign=sign, b=b),
        keyed(random, "steps|work final_answer|answer|result", steps, random.choice((c, str(c)))),
    )


def equation(random: Draws) -> Document:
    """A linear equation, solved in two steps."""
    factor, x, added = random.randint(2, 9), random.randint(-9, 12), random.randint(1, 9)
    total = factor * x + added
    request = fill_one(random, FRAMES["equations"], equation=f"{factor}x + {added} = {total}")
    told = [
        (f"Subtract {added} from both sides.", f"{factor}x = {factor * x}"),
        (f"Divide both sides by {factor}.", f"x = {x}"),
    ]
    names = random.choice(
        (("explanation", "output"), ("explanation", "output"), ("thought", "result"), ("description", "math"))
    )
    steps = [dict(zip(names, step, strict=True)) for step in told]
    return request, keyed(random, "steps|work final_answer|answer", steps, random.choice((f"x = {x}", str(x))))


def collection(random: Draws) -> Document:
    count, things = count_and_things(random)
    chosen = sample_in_order(random, COLLECTIONS[things], count)
    key = random.choice((things.replace(" ", "_"), "items", "names", "list", "answers", "values", "things"))
    listed: list[Any] = [{"name": one} for one in chosen] if random.random() < 0.2 else chosen
    return fill_one(random, FRAMES["collections"], count=len(chosen), things=things), {key: listed}


def review(random: Draws) -> Document:
    sentiment = random.choice(list(chat.OPINIONS))
    thing = random.choice(chat.THINGS)
    text = fill_one(random, chat.OPINIONS[sentiment], thing=thing)
    score = {"Positive": random.randint(4, 5), "Neutral": 3, "Negative": random.randint(1, 2)}[sentiment]
    label = random.choice((sentiment, sentiment.lower()))
    document = keyed(random, "sentiment|label|feeling|mood|category|classification", label)
    if random.random() < 0.4:
        document |= keyed(random, "product|item|topic|subject", thing)
    if random.random() < 0.4:
        document |= keyed(random, "score|stars|rating|points", score)
    if random.random() < 0.2:
        document["is_positive"] = sentiment == "Positive"
    keys = random.sample(list(document), len(document))
    return fill_one(random, FRAMES["reviews"]).replace("{text}", text), {key: document[key] for key in keys}


def translation(random: Draws) -> Document:
    row = random.choice(chat.DICTIONARY)
    index = random.randrange(len(chat.LANGUAGES))
    word, language, found = row[0], chat.LANGUAGES[index], row[1 + index]
    request = fill_one(random, chat.TRANSLATION_REQUESTS, word=word, language=language)
    if random.random() < 0.5:
        return request, keyed(random, "translation|result|translated|text", found)
    return request, keyed(random, "text|word|original language|target translation|result", word, language, found)


MAKERS: dict[Callable[[Draws], Document], float] = {
    joke: 5,
    recipe: 1,
    capital: 3,
    fact: 5,
    definition: 1,
    calculation: 3,
    equation: 2,
    collection: 3,
    review: 4,
    translation: 2,
}


def world_document(random: Draws) -> Conversation:
    """A question and a document with the answer, with or without a system message."""
    request, document = random.choices(list(MAKERS), list(MAKERS.values()))[0](random)
    system = [("system", fill_one(random, FRAMES["systems"]))] if random.random() < 0.35 else []
    return [*system, ("user", vary_prompt(random, request)), ("document", json.dumps(document, ensure_ascii=False))]


def world_call(random: Draws) -> Conversation:
    """The same with a call of the one function that is declared."""
    request, document = random.choices(list(MAKERS), list(MAKERS.values()))[0](random)
    thing = random.choice(("answer", "result", "response", "output", "item"))
    name = random.choice(
        ("final_result", f"give_{thing}", capitalise(thing), f"record_{thing}", capitalise(random.word()))
    )
    properties = {key: {"type": json_type(value)} for key, value in document.items()}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    description = random.choice(
        ("", f"{capitalise(with_article(thing))}.", "The final response which ends this conversation")
    )
    declared = {"name": name, "description": description, "parameters": parameters}
    call = {"name": name, "arguments": document}
    return [
        ("tools", json.dumps([declared], ensure_ascii=False)),
        ("user", vary_prompt(random, request)),
        ("forced calls", json.dumps([call], ensure_ascii=False)),
    ]


def json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
