"""Stories in beats, and opening lines for novels."""

import re

from training import texts
from training.invented import Draws
from training.phrases import Conversation, capitalise, exchange, fill, fill_one
from training.subjects import nouns

HEROES = [
    "a young fisherman named {name}",
    "an old clockmaker named {name}",
    "a curious child named {name}",
    "a baker named {name}",
    "a lonely robot called {name}",
    "a small dragon called {name}",
    "a retired captain named {name}",
    "a map maker named {name}",
    "a clever fox called {name}",
    "a shy astronaut named {name}",
    "a gardener named {name}",
    "a shepherd named {name}",
]
NAMES = texts.words("words")["heroes' names"]
PLACES = [
    "a quiet village by the sea",
    "the last house on the hill",
    "a city of glass towers",
    "the edge of a great forest",
    "a harbour full of old ships",
    "a small station on the Moon",
    "a valley where it always rained",
    "an island without a name",
]
FINDS = [
    "an old brass key",
    "a letter without an address",
    "a map drawn in blue ink",
    "a small locked box",
    "a lantern that never went out",
    "a book with empty pages",
    "a compass that pointed south",
    "a broken music box",
]
HELPERS = [
    "a grey cat",
    "a talking crow",
    "an old sailor",
    "a girl from the market",
    "a patient owl",
    "a lost child",
]
GOALS = [
    "the hidden garden",
    "the old lighthouse",
    "the library under the city",
    "the silent tower",
    "the far shore",
]

BEATS = texts.lines("stories")

STORY_REQUESTS = [
    "Write a story.",
    "Write a story.",
    "Tell me a story.",
    "Write a short story.",
    "[Write|Tell] me a [short |bedtime |little |]story.",
    "Can you [write|tell me] a story?",
    "Make up a story.",
]
REQUESTS_ABOUT = [
    "Write a story about {hero}.",
    "Tell me a story about {hero}.",
    "Write a short story about {hero}.",
]

OPENINGS = texts.lines("openings")["openings"]
OPENING_REQUESTS = [
    "Write a creative opening line for a novel.",
    "Write a creative opening line for a novel.",
    "Write an opening line for a [novel|book|story].",
    "Give me [the first sentence of a novel|a first line for a novel|an opening line].",
    "How could a novel begin?",
    "Write the first [line|sentence] of a [mystery |fantasy |]novel.",
]


def story(random: Draws, about_anything: bool) -> tuple[str, str]:
    """The hero's description, or any noun if `about_anything` is set, and a story of eight beats about them."""
    name, find = random.choice(NAMES), random.choice(FINDS)
    if about_anything and random.random() < 0.6:
        name = random.name()
    template = random.choice(HEROES)
    if about_anything:
        template = nouns.hero(random) + random.choice((" named {name}", " called {name}"))
    words = {
        "hero": template.replace("{name}", name),
        "name": name,
        "place": random.choice(PLACES),
        "find": find,
        "find_short": "the " + find.split(" ", 1)[1].split(" that ")[0].split(" with")[0],
        "helper": random.choice(HELPERS),
        "goal": random.choice(GOALS),
    }
    sentences = [capitalise(fill_one(random, beat, **words)) for beat in BEATS.values()]
    paragraphs = [sentences[first : first + 2] for first in (0, 2, 4, 6)]
    if random.random() < 0.2:
        paragraphs.pop(2)
    return words["hero"], "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)


def story_request(random: Draws) -> Conversation:
    about = random.random() < 0.4
    hero, text = story(random, about_anything=about)
    if about:
        named = hero if random.random() < 0.6 else re.split(" named | called ", hero)[0]
        return exchange(random, fill_one(random, REQUESTS_ABOUT, hero=named), text)
    return exchange(random, fill_one(random, STORY_REQUESTS), text)


def opening(random: Draws) -> str:
    text = fill_one(random, OPENINGS, name=random.choice(NAMES), place=random.choice(PLACES))
    return f'"{text}"' if random.random() < 0.1 and '"' not in text else text


def opening_request(random: Draws) -> Conversation:
    conversation = exchange(random, fill_one(random, OPENING_REQUESTS), opening(random))
    if random.random() < 0.25:
        again = fill(random, "[Another one.|Another, please.|Give me a different one.|Try again.]")
        conversation += [("user", again), ("assistant", opening(random))]
    return conversation
