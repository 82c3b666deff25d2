"""Numbered lists, brainstorming, and the same things as JSON."""

import json
from random import Random

from training import texts
from training.phrases import Conversation, capitalised, exchange, in_order, sketch
from training.subjects.chat import NAMES

COLLECTIONS = {
    "fruits": "Apple Banana Cherry Mango Orange Grape Pear Peach Plum Kiwi Lemon Strawberry Pineapple Melon",
    "vegetables": "Carrot Potato Tomato Onion Spinach Broccoli Cabbage Pea Pepper Cucumber",
    "animals": "Dog Cat Horse Elephant Tiger Rabbit Whale Eagle Dolphin Fox Bear Owl",
    "colours": "Red Blue Green Yellow Purple Orange White Black Pink Brown",
    "countries": "France Japan Brazil Canada Egypt India Kenya Norway Mexico Italy",
    "cities": "Paris London Tokyo Berlin Madrid Cairo Sydney Toronto Rome Oslo",
    "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune",
    "programming languages": "Python Java C Rust Go JavaScript Ruby Swift Kotlin Haskell",
    "sports": "Football Tennis Swimming Basketball Cycling Running Skiing Rowing",
    "musical instruments": "Piano Guitar Violin Drum Flute Trumpet Cello Harp",
    "birds": "Eagle Sparrow Owl Robin Crow Swan Falcon Pigeon",
    "trees": "Oak Pine Maple Birch Willow Cedar Ash Palm",
    "flowers": "Rose Tulip Lily Daisy Sunflower Orchid Violet Iris",
    "drinks": "Water Tea Coffee Milk Juice Lemonade Cocoa Cider",
    "hobbies": "Reading Painting Gardening Cooking Hiking Chess Photography Knitting",
    "seasons": "Spring Summer Autumn Winter",
    "jobs": "Teacher Doctor Baker Pilot Nurse Farmer Engineer Painter",
    "tools": "Hammer Saw Drill Wrench Screwdriver Pliers Ruler Shovel",
}
WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
REQUESTS = [
    "List {count} {things}:",
    "List {count} {things}:",
    "List {count} {things}.",
    "Name {count} {things}.",
    "Give me {count} {things}.",
    "Give me a list of {count} {things}.",
    "Can you list {count} {things}?",
]
CLOSINGS = [
    "Would you like [more|a longer list]?",
    "There are many more {things}, of course.",
    "These are [only|just] a few of the many {things}.",
    "Let me know if you want more {things}.",
    "All of them are well known.",
]
MAKERS = {
    "Python": 1991,
    "Java": 1995,
    "C": 1972,
    "Rust": 2015,
    "Go": 2009,
    "JavaScript": 1995,
    "Ruby": 1995,
    "Swift": 2014,
    "Kotlin": 2011,
    "Haskell": 1990,
}
IDEAS = texts.lines("ideas")
IDEA_REQUESTS = [
    "Brainstorm ideas for {thing}.",
    "Give me some ideas for {thing}.",
    "I need ideas for {thing}.",
]
BUSINESS_REQUESTS = [
    "Brainstorm business ideas.",
    "Brainstorm business ideas.",
    "Give me [some |a few |]business ideas.",
    "What business could I start?",
    "Brainstorm ideas for a [startup|small company|business].",
]


def numbered(items: list[str]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


def list_asked_for(random: Random) -> Conversation:
    """As many items as asked for; then often a closing remark, now and then one item more."""
    things = random.choice([*COLLECTIONS, "fruits", "fruits"])
    items = COLLECTIONS[things].split()
    count = min(random.choice((3, 3, 3, 4, 5, 6)), len(items) - 1)
    chosen = in_order(random, items, count + 1)
    request = sketch(random, REQUESTS, count=random.choice((count, count, WORDS[count])), things=things)
    ending, answer = random.random(), numbered(chosen[:count])
    if ending < 0.25:
        answer += sketch(
            random,
            ["\n{next}. {item}, [as a bonus|for good measure|as an extra]"],
            next=count + 1,
            item=chosen[-1],
        )
    elif ending < 0.75:
        answer += "\n\n" + sketch(random, CLOSINGS, things=things)
    return exchange(random, request, answer)


def open_list_asked_for(random: Random) -> Conversation:
    things = random.choice(list(COLLECTIONS))
    chosen = in_order(random, COLLECTIONS[things].split(), 4)
    if random.random() < 0.5:
        return exchange(
            random,
            sketch(random, ["List some {things}.", "Name some {things}."], things=things),
            numbered(chosen),
        )
    thing = things.removesuffix("s")
    if things in {"countries", "cities", "hobbies"}:
        thing = things.removesuffix("ies") + "y"
    return exchange(random, sketch(random, ["Name a {thing}.", "Give me one {thing}."], thing=thing), chosen[0])


def brainstorm(random: Random) -> Conversation:
    thing, request = "business", sketch(random, BUSINESS_REQUESTS)
    if random.random() < 0.3:
        thing = random.choice([name for name in IDEAS if name != "business"])
        request = sketch(random, IDEA_REQUESTS, thing=thing)
    pool = IDEAS[thing]
    ideas = [sketch(random, [idea]) for idea in in_order(random, pool, min(len(pool), random.randint(4, 8)))]
    lead = random.choice(("", "", "Here are some ideas:\n\n", "Sure! Here are a few ideas:\n\n"))
    last = random.choice(("", "", "\n\nWhich one do you like best?", "\n\nI can say more about any of them."))
    return exchange(random, request, lead + numbered(ideas) + last)


def json_list_asked_for(random: Random) -> Conversation:
    """A list as JSON: languages with their years, or any collection."""
    count = random.choice((3, 3, 2, 4, 5))
    if random.random() < 0.6:
        chosen = in_order(random, list(MAKERS), count)
        request = sketch(
            random,
            ["[List|Name|Give me] {count} programming languages with their [year of creation|year|years]."],
            count=count,
        )
        items: object = [{"name": name, "year": MAKERS[name]} for name in chosen]
        key = "languages"
    else:
        key = random.choice([name for name in COLLECTIONS if " " not in name])
        items = in_order(random, COLLECTIONS[key].split(), min(count, 4))
        request = sketch(random, REQUESTS, count=len(items), things=key)
    answer = json.dumps({key: items})
    if random.random() < 0.35:
        return exchange(
            random,
            sketch(random, ["{request} [As JSON.|Answer in JSON.|Output JSON.]"], request=request),
            answer,
        )
    system = sketch(random, ["Output valid JSON.", "[Answer in JSON.|Respond with JSON only.|You output JSON.]"])
    return [("system", system), *exchange(random, request, answer)]


def json_extraction(random: Random) -> Conversation:
    """Fields copied out of a sentence."""
    name = random.choice(NAMES)
    age, city = random.randint(18, 80), random.choice(COLLECTIONS["cities"].split())
    job = random.choice(COLLECTIONS["jobs"].split()).lower()
    shapes = [
        ("{name} is {age} years old and lives in {city}.", {"name": name, "age": age, "city": city}),
        ("{name} works as a {job} in {city}.", {"name": name, "job": job, "city": city}),
        ("My name is {name} and I am {age}.", {"name": name, "age": age}),
    ]
    sentence, fields = random.choice(shapes)
    sentence = sketch(random, [sentence], name=name, age=age, city=city, job=job)
    request = sketch(random, ["Extract the [data|fields|facts] as JSON: {sentence}"], sentence=sentence)
    if random.random() < 0.5:
        return [
            ("system", "Output valid JSON."),
            ("user", capitalised(sentence)),
            ("assistant", json.dumps(fields)),
        ]
    return exchange(random, request, json.dumps(fields))
