"""A balance for logits. At temperature 0, with `logit_bias` on two tokens so large that only they can be chosen, the
choice tells which of them weighs more. Moving one of the two biases until the choice flips measures the difference of
their logits, and with it every penalty, without a single random draw.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oruel.verify.probe import Probe, is_plain, user
from oruel.verify.reply import Reply
from oruel.verify.verdict import Exchange
from oruel.verify.vocabulary import token_id

PROMPT = "Tell me a story."
# The largest bias that the API allows.
MOST_BIAS = 100.0
# How closely weights are measured, in nats.
PRECISION = 0.2
OWN_TOKENS = 4
# Without /tokenize, these ids are tried for tokens with a text. Every vocabulary has them.
SOME_IDS = (*range(300, 500, 12), *range(700, 1500, 60))


@dataclass(frozen=True, slots=True)
class Token:
    id: int
    text: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The token that is weighed, and the one on the other side."""

    weighed: Token
    other: Token

    @property
    def turned(self) -> "Pair":
        return Pair(self.other, self.weighed)


@dataclass(frozen=True, slots=True)
class Weight:
    """`gap` is the lead in bias that the weighed token needs in order to be chosen `count` times in a row, in nats: the
    largest of (penalty − raw lead) over these positions. `position`, from 0, is the one where it is lost first when the
    gap is just too small. `penalty` is the penalty there, if the log-probabilities of both tokens are reported. A gap
    is `clipped` if it's at the end of the scale.
    """

    gap: float
    position: int
    penalty: float | None
    clipped: bool
    exchanges: tuple[Exchange, ...]


@dataclass
class Balance:
    """`bias` is that of the weighed token. A `bare` balance sends no parameter that isn't measured."""

    probe: Probe
    pair: Pair
    prompt: str = PROMPT
    bias: float = 50.0
    bare: bool = False

    async def weigh(self, count: int, precision: float = PRECISION, **fields: Any) -> Weight:
        """Bisects the gap. `fields` are those whose effect is measured."""
        low, high = self.bias - MOST_BIAS, self.bias
        lost, kept = await self.choose(low, count, **fields), await self.choose(high, count, **fields)
        if self.run_length(lost) >= count:
            return Weight(low, count - 1, None, True, (lost.exchange,))
        if self.run_length(kept) < count:
            return Weight(high, self.run_length(kept), None, True, (kept.exchange,))
        while high - low > precision:
            middle = (low + high) / 2
            reply = await self.choose(middle, count, **fields)
            if self.run_length(reply) >= count:
                high, kept = middle, reply
            else:
                low, lost = middle, reply
        position, gap = self.run_length(lost), (low + high) / 2
        lead = self.raw_lead(kept, lost, position)
        penalty = None if lead is None else gap + lead
        return Weight(gap, position, penalty, False, (lost.exchange, kept.exchange))

    async def choose(self, gap: float, count: int, **fields: Any) -> Reply:
        bias = {str(self.pair.weighed.id): self.bias, str(self.pair.other.id): self.bias - gap}
        return await self.ask(bias, count, **fields)

    async def ask(self, bias: Mapping[str, float], count: int, **fields: Any) -> Reply:
        asked = {"temperature": 0, "max_tokens": count, "messages": user(self.prompt), "logit_bias": bias, **fields}
        sent = asked if self.bare else self.probe.neutral(**asked)
        return await self.probe.chat(**sent, **self.probe.facts.token_fields)

    def run_length(self, reply: Reply) -> int:
        """How often the weighed token comes before any other."""
        return run_length(reply, self.pair.weighed.text)

    def raw_lead(self, kept: Reply, lost: Reply, position: int) -> float | None:
        """The weighed token's own lead over the other at a position, from the log-probabilities of whichever was
        chosen after the same tokens.
        """
        ours, theirs = kept.tokens(), lost.tokens()
        if position >= min(len(ours), len(theirs)) or theirs[position].text != self.pair.other.text:
            return None
        return ours[position].logprob - theirs[position].logprob


def run_length(reply: Reply, text: str) -> int:
    tokens = reply.tokens()
    if tokens:
        return next((i for i, token in enumerate(tokens) if token.text != text), len(tokens))
    repeated = 0
    while reply.whole_text.startswith(text * (repeated + 1)):
        repeated += 1
    return repeated


async def find_rivals(probe: Probe) -> Pair | None:
    """Two tokens that `logit_bias` brings about: rivals for the first place in the answer, or else any."""
    found = await find_tokens(probe, 2)
    return Pair(*found) if len(found) == 2 else None


async def find_tokens(probe: Probe, count: int) -> list[Token]:
    """So many tokens that `logit_bias` brings about, or fewer."""
    texts = [text for text in await probe.base(PROMPT) if is_word(text)] if probe.facts.top_logprobs else []
    found: list[Token] = []
    for id in [*await ids_of(probe, texts), *SOME_IDS]:
        if len(found) == count:
            break
        token = await check_token(probe, id)
        if token and not any(overlap(token.text, one.text) for one in found):
            found.append(token)
    return found


async def find_successor(probe: Probe, first: Token) -> Pair | None:
    """The token and one that likes to come after it. None without log-probabilities."""
    bias = {str(first.id): MOST_BIAS}
    asked = {"temperature": 0, "max_tokens": 2, "messages": user(PROMPT), "logit_bias": bias}
    reply = await probe.chat(**probe.neutral(**asked), logprobs=True, top_logprobs=probe.facts.top_logprobs)
    after = reply.tokens()[1].top if len(reply.tokens()) > 1 else ()
    texts = [text for text, _ in after if is_word(text) and not overlap(text, first.text)]
    for id in await ids_of(probe, texts):
        if (token := await check_token(probe, id)) and not overlap(token.text, first.text):
            return Pair(first, token)
    return None


async def ids_of(probe: Probe, texts: list[str]) -> list[int]:
    ids = [await token_id(probe.endpoint, text) for text in texts[:OWN_TOKENS]]
    return [id for id in ids if id is not None]


def overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


async def check_token(probe: Probe, id: int) -> Token | None:
    """The token, if `logit_bias` makes the model repeat it, and it is a word."""
    count = 3
    asked = {"temperature": 0, "max_tokens": count, "messages": user(PROMPT), "logit_bias": {str(id): MOST_BIAS}}
    reply = await probe.chat(**probe.neutral(**asked), **probe.facts.token_fields)
    if not reply.ok:
        return None
    texts = [token.text for token in reply.tokens()] or [reply.whole_text[: len(reply.whole_text) // count]]
    repeated = run_length(reply, texts[0]) if texts[0] else 0
    return Token(id, texts[0]) if repeated == count and is_word(texts[0]) else None


def is_word(text: str) -> bool:
    return is_plain(text) and text.strip().isalpha()
