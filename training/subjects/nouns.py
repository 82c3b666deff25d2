"""Things that any subject may be asked about, so that the model learns to take a word from the prompt."""

from random import Random

from training import texts

WORDS = texts.words("words")
PLAIN = WORDS["nouns"]
ADJECTIVES = WORDS["adjectives"]
THEMES = WORDS["themes"]
PEOPLE = WORDS["people"]
PLACES = WORDS["places"]
SUBJECTS = WORDS["subjects"]


def invented(random: Random) -> str:
    """A word that no text holds, such as `morvilan`."""
    parts = [random.choice("bcdfglmnprstvz") + random.choice("aeiou") + random.choice(["", "", "n", "r", "l", "s"])]
    parts += [random.choice("bdfgklmnprstvz") + random.choice("aeiou") for _ in range(random.choice((1, 1, 2)))]
    return "".join(parts) + random.choice(["", "n", "x", "th", "r"])


def theme(random: Random) -> str:
    return random.choice(THEMES) if random.random() < 0.85 else invented(random)


def hero(random: Random) -> str:
    """A hero such as `a brave mouse`."""
    noun = random.choice(PLAIN) if random.random() < 0.9 else invented(random)
    words = [random.choice(ADJECTIVES), noun] if random.random() < 0.6 else [noun]
    return f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"
