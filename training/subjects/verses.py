"""Poems: rhymed couplets and quatrains on a theme, haiku, and short free verse."""

from training import texts
from training.invented import Draws
from training.phrases import Conversation, capitalise, exchange, fill_one, sample_in_order
from training.subjects import nouns

TEMPLATES = texts.lines("verses")

THEMES = {
    "the sea": ("waves", "the shore", "salt", "a gull"),
    "the night": ("stars", "the dark", "silence", "an owl"),
    "autumn": ("leaves", "the orchard", "smoke", "a crow"),
    "winter": ("snow", "the frozen lake", "frost", "a fox"),
    "spring": ("blossoms", "the meadow", "rain", "a lark"),
    "summer": ("bees", "the garden", "heat", "a swallow"),
    "the moon": ("shadows", "the hill", "silver", "a moth"),
    "love": ("letters", "the open door", "warmth", "a dove"),
    "the rain": ("drops", "the window", "thunder", "a sparrow"),
    "the city": ("lamps", "the crowded street", "steel", "a pigeon"),
    "the forest": ("branches", "the narrow path", "moss", "a deer"),
    "time": ("clocks", "the long road", "dust", "a heron"),
    "a river": ("stones", "the bridge", "foam", "a trout"),
    "home": ("lanterns", "the kitchen", "bread", "a cat"),
}
REQUESTS = [
    "[Generate|Write|Compose] a [creative|short|beautiful] poem about {theme}.",
    "Write a poem about {theme}.",
    "[Give me|I would like|Can you write] a poem about {theme}.",
]
OPEN_REQUESTS = [
    "Generate a creative poem.",
    "Generate a creative poem.",
    "Write a poem.",
    "Write me a [short |creative |little |]poem.",
    "Compose [a poem|some verses].",
    "Give me a [poem|creative poem].",
]


def poem(random: Draws, theme: str) -> str:
    if theme not in THEMES:
        lines = [
            fill_one(random, [couplet], theme=theme)
            for couplet in sample_in_order(random, TEMPLATES["couplets on any theme"], 4)
        ]
        return "\n\n".join(
            "\n".join(map(capitalise, couplet.split("\n"))) for couplet in lines[: random.choice((2, 3, 4))]
        )
    many, place, scent, beast = THEMES[theme]
    words = {"theme": theme, "many": many, "place": place, "beast": beast}
    if random.random() < 0.75:
        couplets = [
            fill_one(random, [couplet], scent=scent, **words)
            for couplet in sample_in_order(random, TEMPLATES["couplets"], 4)
        ]
        count = random.choice((2, 4, 4))
        stanzas = ["\n".join(couplets[index : index + 2]) for index in range(0, count, 2)]
        body = "\n\n".join(stanzas)
    else:
        lines = sample_in_order(random, TEMPLATES["free lines"], random.randint(4, 7))
        body = "\n".join(fill_one(random, [line], scent=capitalise(scent), **words) for line in lines)
    body = "\n".join(capitalise(line) for line in body.split("\n"))
    titled = random.random() < 0.4
    return f"**{capitalise(theme)}**\n\n{body}" if titled else body


def poem_request(random: Draws) -> Conversation:
    theme = random.choice(list(THEMES))
    requests = OPEN_REQUESTS if random.random() < 0.5 else REQUESTS
    if requests is REQUESTS and random.random() < 0.6:
        theme = nouns.theme(random)
    return exchange(random, fill_one(random, requests, theme=theme), poem(random, theme))


def haiku_request(random: Draws) -> Conversation:
    theme = random.choice(list(THEMES))
    many, _, scent, beast = THEMES[theme]
    lines = fill_one(random, TEMPLATES["haiku"], many=many, scent=scent, beast=beast).split("\n")
    request = fill_one(random, ["Write a haiku about {theme}.", "[Write|Compose] a haiku."], theme=theme)
    return exchange(random, request, "\n".join(capitalise(line) for line in lines))
