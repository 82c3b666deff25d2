"""Automata of patterns, judged by Python's regular expressions on random strings."""

import random
import re
from itertools import islice

import pytest

from oruel.constraints.completion.automaton import automaton
from oruel.constraints.completion.formats import FORMATS
from oruel.constraints.completion.lookaround import plain_patterns
from oruel.constraints.completion.words import words

PATTERNS = [
    "",
    "a",
    "^a",
    "b$",
    "^$",
    "a|^b|c$",
    "^(a|bc)*$",
    "^[a-c]{2,3}$",
    "^a{0}b?$",
    "[^a-c]",
    r"^\w+-\d{1,2}$",
    r"^(?:ab|[0-9]+\.)+x??$",
    "^(a+)+$",
    r"^.{3,}$",
    r"[\w.-]+@b",
    "^a^b|c$b",
    *FORMATS.values(),
]
LETTERS = "abcx019.-@ _\né"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_automaton_accepts_what_the_pattern_matches(pattern: str) -> None:
    built = automaton(pattern)
    assert built is not None
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(300):
        # In Python, $ also matches before a newline at the end.
        text = "".join(chance.choice(LETTERS) for _ in range(chance.randrange(7))).rstrip("\n")
        state = built.begin()
        for char in text:
            state = built.step(state, ord(char))
        assert built.accepts(state) == (re.search(pattern, text, re.ASCII) is not None), text


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)b", r"\p{L}", "a++", "a{9999}", "[[:alpha:]]", "(?i)a", "(", "*"])
def test_what_is_not_supported_has_no_automaton(pattern: str) -> None:
    assert automaton(pattern) is None


def test_words_match_all_that_is_wanted_and_nothing_else() -> None:
    found = words(("^[a-z0-9]*$", "[0-9]", "^.*z"), ("^a", "zz"), 4, 6)
    assert found is not None
    texts = list(islice(found.after("z"), 200))
    assert len(set(texts)) == 200
    for text in texts:
        assert re.fullmatch(r"z[a-z0-9]{3,5}", "z" + text)
        assert re.search("[0-9]", text)
        assert "zz" not in "z" + text


def test_lookaheads_at_the_start_become_patterns_of_their_own() -> None:
    plain = plain_patterns(r"^(?=.*\d)(?!.*\s)[a-z\d ]+$")
    assert plain.wanted == (r"^[a-z\d ]+$", r"^(?:.*\d)")
    assert plain.unwanted == (r"^(?:.*\s)",)
    assert plain.is_exact
    assert not plain_patterns(r"a(?=b)").is_exact
    assert not plain_patterns("^(?!a)b|c").is_exact
