"""What checks work with: the endpoint, what is known about it, and draws of first tokens."""

import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from random import Random
from typing import Any

from oruel.verify.endpoint import Endpoint
from oruel.verify.profile import Profile
from oruel.verify.reply import REPLACEMENT, Facts, Json, Reply, TokenInfo
from oruel.verify.statistics import Distribution, SequentialTest

# Prompts whose first token is uncertain. Checks choose those on which the alternatives disagree most.
PROMPTS = (
    "Name an animal.",
    "Tell me a story.",
    "Say a random word.",
    "Write the first line of a poem.",
    "Name a city.",
    "What is your favourite colour? Answer with one word.",
    "Pick a number between one and a hundred.",
    "Begin a sentence about the sea.",
    "Suggest a name for a cat.",
    "Continue: The door opened and",
)
MAX_DRAWS, MAX_NAMING_DRAWS = 600, 240
DRAWS_AT_ONCE = 24
# The tokens that a reasoning model may spend before its answer.
THINKING = 2000
# No token with such a log-probability is ever drawn.
IMPOSSIBLE = -100.0


@dataclass
class Other:
    """The second endpoint of a comparison. `facts` come from its survey. `same_model` is what the comparison of the
    models found, None while it isn't decided.
    """

    endpoint: Endpoint
    facts: Facts = field(default_factory=Facts)
    same_model: bool | None = None


@dataclass
class Probe:
    """`alpha` is this check's share of the false-alarm rate. `random` makes seeds, so that a run can be repeated.
    `known_bases` are the probabilities of first tokens by prompt, which the checks of a run share. `other` is the
    endpoint to compare with, if there is one.
    """

    endpoint: Endpoint
    facts: Facts
    profile: Profile
    alpha: float
    random: Random = field(default_factory=Random)
    known_bases: dict[str, dict[str, float]] = field(default_factory=dict)
    other: Other | None = None

    async def chat(self, **fields: Any) -> Reply:
        return await self.endpoint.chat(**fields)

    def neutral(self, **fields: Any) -> Json:
        """`fields`, and values that switch every filter and penalty off, as far as the endpoint accepts them."""
        return {name: value for name, value in NEUTRAL.items() if name in self.facts.accepts} | fields

    def room(self, tokens: int) -> int:
        """A max_tokens that leaves this many tokens for the answer, also of a model that thinks first."""
        return tokens + THINKING if self.facts.reasons else tokens

    def visible(self, tokens: int) -> int:
        """A max_tokens that shows this many tokens of the model, be they thoughts or text."""
        return tokens + THINKING if self.facts.hides_thoughts else tokens

    def is_only_thoughts(self, reply: Reply) -> bool:
        """Whether max_tokens ended the answer before its text began."""
        thinks = self.facts.reasons or bool(reply.thoughts)
        return thinks and reply.finish == "length" and not reply.text and not reply.calls

    def seed(self) -> int:
        return self.random.getrandbits(31)

    def fresh_seed(self) -> Json:
        """A seed to send, if the endpoint takes one, so that the draws can be repeated."""
        return {"seed": self.seed()} if "seed" in self.facts.accepts else {}

    async def base(self, prompt: str) -> dict[str, float]:
        """The model's probabilities of the first token, best first, as far as the endpoint reports them and the tokens'
        texts tell them apart.
        """
        if prompt not in self.known_bases:
            reply = await self.chat(
                **self.neutral(temperature=1, max_tokens=1, messages=user(prompt)),
                logprobs=True,
                top_logprobs=self.facts.top_logprobs,
            )
            entries = most_probable(reply.tokens()[0]) if reply.tokens() else []
            self.known_bases[prompt] = probabilities(entries)
        return self.known_bases[prompt]

    async def bases(self) -> dict[str, dict[str, float]]:
        return {prompt: base for prompt in PROMPTS if (base := await self.base(prompt))}

    async def draw_first_tokens(self, prompt: str, count: int, **fields: Any) -> list[str]:
        """Draws with different seeds, as the tokens' texts. Leaves out answers that have no token. Log-probabilities
        tell the token apart from others with the same text."""
        requests = [
            {"messages": user(prompt), "max_tokens": 1, **self.fresh_seed(), **fields, **self.facts.token_fields}
            for _ in range(count)
        ]
        replies = await self.endpoint.chats(requests)
        return [first_token(reply) for reply in replies if reply.ok]

    async def run_test(self, test: SequentialTest, prompt: str, **fields: Any) -> SequentialTest:
        """Draws first tokens until the test is decided, or MAX_DRAWS; and if it is rejected, some more until it is
        clear which alternative it is.
        """
        return await decide(test, lambda: self.draw_first_tokens(prompt, DRAWS_AT_ONCE, **fields))


async def decide(test: SequentialTest, draw: Callable[[], Awaitable[Sequence[str]]]) -> SequentialTest:
    """As Probe.run_test. `draw` gives some first tokens, or none if there are no more."""
    await draw_until(lambda: test.is_decided, MAX_DRAWS, test, draw)
    if test.is_rejected:
        await draw_until(lambda: test.is_named, test.draws + MAX_NAMING_DRAWS, test, draw)
    return test


async def draw_until(
    is_enough: Callable[[], bool], most: int, test: SequentialTest, draw: Callable[[], Awaitable[Sequence[str]]]
) -> None:
    while not is_enough() and test.draws < most and (drawn := await draw()):
        for token in drawn:
            test.observe(token)


NEUTRAL: Mapping[str, Any] = {
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "repetition_penalty": 1,
}


def user(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


def first_token(reply: Reply) -> str:
    tokens = reply.tokens()
    return tokens[0].text if tokens else reply.whole_text


def divergence(one: Distribution, other: Distribution) -> float:
    """The Kullback-Leibler divergence in nats: how much evidence against `other` one draw from `one` brings."""
    return math.fsum(p * math.log(p / max(other.get(token, 0.0), 1e-9)) for token, p in one.items() if p > 0)


def distinct(top: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The entries, sorted, before the first one whose text doesn't tell its token apart."""
    texts = Counter(text for text, _ in top)
    best_first = sorted(top, key=lambda entry: -entry[1])
    return list(takewhile(lambda entry: texts[entry[0]] == 1 and is_plain(entry[0]), best_first))


def probabilities(entries: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Of the entries that can be drawn: servers give -9999 to tokens without a probability."""
    return {text: math.exp(min(log, 0.0)) for text, log in entries if log > IMPOSSIBLE}


def most_probable(token: TokenInfo) -> list[tuple[str, float]]:
    """The distinct entries without the chosen token, if that is the least probable one: vLLM lists it even where others
    are more probable.
    """
    best_first = sorted(token.top, key=lambda entry: -entry[1])
    return distinct(best_first[:-1] if best_first and best_first[-1][0] == token.text else best_first)


def is_plain(text: str) -> bool:
    """Whether the text appears in answers as it is: not part of a character, and no control token, such as <|im_end|>,
    </s> or [INST], nor without text.
    """
    return bool(text) and REPLACEMENT not in text and not re.fullmatch(r"<[^<>\s]+>|\[[A-Z_]+\]", text)
