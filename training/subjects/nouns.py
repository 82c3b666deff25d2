"""Nouns for any subject. Most are invented, so that the model learns to copy them from the prompt."""

from training.invented import WORDS, Draws

PLAIN = WORDS["nouns"]
ADJECTIVES = WORDS["adjectives"]
THEMES = WORDS["themes"]
PEOPLE = WORDS["people"]
PLACES = WORDS["places"]
SUBJECTS = WORDS["subjects"]


def theme(random: Draws) -> str:
    return random.known_or_invented("themes", known=0.6)


def hero(random: Draws) -> str:
    """A hero such as `a brave mouse`."""
    noun = random.known_or_invented("nouns", known=0.6)
    words = [random.choice(ADJECTIVES), noun] if random.random() < 0.6 else [noun]
    return f"{'an' if words[0][0] in 'aeiou' else 'a'} {' '.join(words)}"
