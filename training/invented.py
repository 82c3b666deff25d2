"""Words, names, numbers and codes that nobody can know by heart: to repeat them, the model has to copy.

An eighth of them, by their hash, is kept for the evaluation and never drawn for the corpus.
"""

from binascii import crc32
from collections.abc import Callable
from random import Random

from training import texts

WORDS = texts.words("words")
CONSONANTS, VOWELS = WORDS["consonants"], WORDS["vowels"]
VOWEL_WEIGHTS = (9, 9, 9, 9, 6, 1, 1, 1, 1, 1, 1, 1)
ENDINGS = ["", "", "", "n", "r", "s", "l", "x", "th", "nd", "ck", "m", "rt"]
LETTERS, DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
HELD_OUT_OF = 8


def held_out(text: str) -> bool:
    """Whether a text belongs to the evaluation, whatever its capitals."""
    return crc32(text.lower().encode()) % HELD_OUT_OF == 0


class Draws(Random):
    """Random choices for one side of the divide: for the corpus, or of what is kept out of it."""

    def __init__(self, seed: int, kept_out: bool = False) -> None:
        super().__init__(seed)
        self.kept_out = kept_out

    def drawn(self, make: Callable[[Random], str]) -> str:
        while True:
            text = make(self)
            if held_out(text) == self.kept_out:
                return text

    def word(self) -> str:
        """Such as `morvilan`."""
        return self.drawn(syllables)

    def name(self) -> str:
        return self.word().capitalize()

    def letters(self) -> str:
        """Such as `qfzt`."""
        return self.drawn(lambda random: "".join(random.choices(LETTERS, k=random.randint(3, 6))))

    def number(self, *digits: int) -> str:
        """A number of one of these counts of digits."""
        return self.drawn(lambda random: str(random.randrange(10 ** (count := random.choice(digits)) // 10, 10**count)))

    def code(self) -> str:
        """Such as `K7-402`."""
        return self.drawn(code)

    def anything(self) -> str:
        kind = self.randrange(8)
        if kind < 4:
            return self.word() if kind < 2 else self.name()
        if kind == 4:
            return self.letters()
        if kind == 5:
            return self.code()
        return self.number(2, 3, 4, 5) if kind == 6 else self.plain("words")

    def plain(self, section: str) -> str:
        """A word of a list of `texts/words.txt`."""
        return self.choice(WORDS[section])

    def mixed(self, section: str, known: float = 0.25) -> str:
        """A word of the list, or, more often than not, one that nobody knows; capitals as in the list."""
        example = WORDS[section][0]
        if not self.kept_out and self.random() < known:
            return self.choice(WORDS[section])
        return self.name() if example[0].isupper() else self.word()


def syllables(random: Random) -> str:
    count = random.choice((1, 2, 2, 2, 3))
    parts = [random.choice(CONSONANTS) + random.choices(VOWELS, VOWEL_WEIGHTS)[0] for _ in range(count)]
    if count > 1 and random.random() < 0.25:
        parts[0] = random.choice("aeiou")
    return "".join(parts) + random.choice(ENDINGS if count > 1 else ENDINGS[3:])


def code(random: Random) -> str:
    head = "".join(random.choices(LETTERS.upper(), k=random.randint(1, 3)))
    return head + random.choice(("", "-", "")) + "".join(random.choices(DIGITS, k=random.randint(2, 4)))
