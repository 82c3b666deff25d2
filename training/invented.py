"""Invented words, names, numbers and codes, which the model can't memorise and has to copy from its prompt.

An eighth of them, selected by hash, is held out for the evaluation.
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
    """Whether a text belongs to the evaluation. Case is ignored."""
    return crc32(text.lower().encode()) % HELD_OUT_OF == 0


class Draws(Random):
    """A random generator whose invented values are all for the corpus or, with `kept_out`, all held out."""

    def __init__(self, seed: int, kept_out: bool = False) -> None:
        super().__init__(seed)
        self.kept_out = kept_out

    def draw(self, make: Callable[[Random], str]) -> str:
        while True:
            text = make(self)
            if held_out(text) == self.kept_out:
                return text

    def word(self) -> str:
        """An invented word such as `morvilan`."""
        return self.draw(syllables)

    def name(self) -> str:
        return self.word().capitalize()

    def letters(self) -> str:
        """Random letters such as `qfzt`."""
        return self.draw(lambda random: "".join(random.choices(LETTERS, k=random.randint(3, 6))))

    def number(self, *digits: int) -> str:
        """A number whose count of digits is one of `digits`."""
        return self.draw(lambda random: str(random.randrange(10 ** (count := random.choice(digits)) // 10, 10**count)))

    def code(self) -> str:
        """A code such as `K7-402`."""
        return self.draw(code)

    def any_value(self) -> str:
        kind = self.randrange(8)
        if kind < 4:
            return self.word() if kind < 2 else self.name()
        if kind == 4:
            return self.letters()
        if kind == 5:
            return self.code()
        return self.number(2, 3, 4, 5) if kind == 6 else self.known_word("words")

    def known_word(self, section: str) -> str:
        """A word from a section of `texts/words.txt`."""
        return self.choice(WORDS[section])

    def known_or_invented(self, section: str, known: float = 0.25) -> str:
        """A word from the section with probability `known`, otherwise an invented one, capitalised like the section.

        Held-out draws are always invented.
        """
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
