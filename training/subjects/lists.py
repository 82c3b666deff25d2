"""Numbered lists of a requested length, and brainstorming."""

from random import Random

from training import texts
from training.invented import Draws, held_out
from training.phrases import Conversation, exchange, fill_one, sample_in_order

COLLECTIONS = texts.words("lists")
WORDS = texts.words("words")["numbers"]
REQUESTS = [
    "List {count} {things}:",
    "List {count} {things}:",
    "List {count} {things}.",
    "Name {count} {things}.",
    "Give me {count} {things}.",
    "Give me a list of {count} {things}.",
    "Can you list {count} {things}?",
]
PICKS = [
    "List the {place} of these: {words}",
    "Make a numbered list of the {place} of these words: {words}",
    "[Number|List] the {place}: {words}",
]
CLOSINGS = [
    "Would you like [more|a longer list]?",
    "There are many more {things}, of course.",
    "These are [only|just] a few of the many {things}.",
    "Let me know if you want more {things}.",
    "All of them are well known.",
]
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


def number_items(items: list[str]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))


def held_out_list(count: int, things: str) -> bool:
    """Whether a list of `count` `things` is held out."""
    return held_out(f"{count} {things}") and (count, things) != (3, "fruits")


def count_and_things(random: Draws) -> tuple[int, str]:
    """The number of items and the collection to take them from."""
    while True:
        things = random.choice([*COLLECTIONS, "fruits", "fruits"])
        count = min(random.choice((2, 3, 3, 3, 4, 5, 6, 7, 8)), len(COLLECTIONS[things]))
        if held_out_list(count, things) == random.kept_out:
            return count, things


def list_request(random: Draws) -> Conversation:
    """A request for a number of items, sometimes answered with a closing remark."""
    count, things = count_and_things(random)
    answer = number_items(sample_in_order(random, COLLECTIONS[things], count))
    request = fill_one(random, REQUESTS, count=random.choice((count, count, WORDS[count])), things=things)
    if random.random() < 0.2:
        answer += "\n\n" + fill_one(random, CLOSINGS, things=things)
    return exchange(random, request, answer)


def pick_words(random: Draws) -> tuple[str, list[str], list[str]]:
    """A phrase such as `the first two`, several words, and the words that the phrase selects."""
    words = list(dict.fromkeys(random.any_value() for _ in range(random.randint(3, 9))))
    count = random.randint(1, len(words) - 1)
    place = random.choice(("first", "first", "last"))
    spoken = f"{place} {random.choice((str(count), WORDS[count]))}"
    return spoken, words, words[:count] if place == "first" else words[-count:]


def picked_items(random: Draws) -> Conversation:
    """A numbered list of some of the words in the question."""
    spoken, words, answer = pick_words(random)
    question = fill_one(random, PICKS, place=spoken, words=", ".join(words))
    return exchange(random, question, number_items(answer))


def open_list_request(random: Random) -> Conversation:
    things = random.choice(list(COLLECTIONS))
    chosen = sample_in_order(random, COLLECTIONS[things], 4)
    if random.random() < 0.5:
        return exchange(
            random,
            fill_one(random, ["List some {things}.", "Name some {things}."], things=things),
            number_items(chosen),
        )
    thing = things.removesuffix("s")
    if things in {"countries", "cities", "hobbies"}:
        thing = things.removesuffix("ies") + "y"
    return exchange(random, fill_one(random, ["Name a {thing}.", "Give me one {thing}."], thing=thing), chosen[0])


def brainstorm(random: Random) -> Conversation:
    thing, request = "business", fill_one(random, BUSINESS_REQUESTS)
    if random.random() < 0.3:
        thing = random.choice([name for name in IDEAS if name != "business"])
        request = fill_one(random, IDEA_REQUESTS, thing=thing)
    pool = IDEAS[thing]
    ideas = [fill_one(random, [idea]) for idea in sample_in_order(random, pool, min(len(pool), random.randint(4, 8)))]
    lead = random.choice(("", "", "Here are some ideas:\n\n", "Sure! Here are a few ideas:\n\n"))
    last = random.choice(("", "", "\n\nWhich one do you like best?", "\n\nI can say more about any of them."))
    return exchange(random, request, lead + number_items(ideas) + last)
