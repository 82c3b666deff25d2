"""Sequential tests. Every figure may be looked at after every draw: the likelihood ratio of an alternative to the null
is a martingale under the null, so it exceeds 1/α with a probability of at most α (Ville's inequality), however long the
draws go on.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Distribution = Mapping[str, float]
"""Probabilities by token. Whatever is missing from 1 belongs to OTHER."""

OTHER = "(other)"
# Reported log-probabilities are rounded, and unlisted tokens may have any share of the rest.
FLOOR = 1e-9
# Probabilities closer than this are the same, for a few hundred draws.
ALIKE = 1e-3
# Smaller p-values underflow.
LEAST_P = 1e-300


@dataclass
class RatioTest:
    """Decides between the null and named alternatives, by the probability that each gives to what was observed. These
    may depend on everything observed before.

    `alpha` bounds the probability that a right endpoint is called wrong, over all alternatives together; `beta` bounds,
    for each alternative, the probability that an endpoint which follows it is called right.
    """

    names: tuple[str, ...]
    alpha: float
    beta: float = 0.01
    observed: int = 0

    def __post_init__(self) -> None:
        self.log_ratios = dict.fromkeys(self.names, 0.0)
        self._most = 0.0

    def observe(self, null: float, alternatives: Mapping[str, float]) -> None:
        """Probabilities of what was just observed. `null` may be larger than the true one, which is conservative."""
        self.observed += 1
        for name, p in alternatives.items():
            self.log_ratios[name] += math.log(max(p, FLOOR) / max(null, FLOOR))
        self._most = max(self._most, self.log_e_value)

    @property
    def log_e_value(self) -> float:
        """Of the mixture of all alternatives with equal weights: its expectation is at most 1 under the null."""
        return log_mean_exp(list(self.log_ratios.values()))

    @property
    def p_value(self) -> float:
        """An upper bound, from the largest e-value so far: more observations don't take a rejection back."""
        return bound_of(self._most)

    @property
    def is_rejected(self) -> bool:
        return self._most > -math.log(self.alpha)

    @property
    def is_accepted(self) -> bool:
        """Whether the observations rule out every named alternative."""
        return all(-ratio > -math.log(self.beta) for ratio in self.log_ratios.values())

    @property
    def explanations(self) -> list[str]:
        """The alternatives that explain the observations best, best first: those that nearly tie."""
        ranked = sorted(self.log_ratios, key=lambda name: -self.log_ratios[name])
        least = self.log_ratios[ranked[0]] + math.log(self.beta)
        return [name for name in ranked if self.log_ratios[name] >= least]

    @property
    def is_decided(self) -> bool:
        return self.is_rejected or self.is_accepted

    @property
    def best_alternative(self) -> str | None:
        """The alternative that explains the observations best. None: none of the named ones does."""
        return max(self.log_ratios, key=self.log_ratios.__getitem__, default=None)


@dataclass
class SequentialTest:
    """A test of independent draws from one distribution: decides between `null`, what the contract says, named
    `alternatives`, and anything else. If it is `conditional`, draws of tokens that the null doesn't list are set aside:
    what is tested are the ratios of the listed ones. If only a bound of their share is known, `most_unlisted`, they
    count as drawn with that probability, and the listed ones as if there were no others: both are careful.

    `alpha` and `beta` as in RatioTest.
    """

    null: Distribution
    alternatives: Mapping[str, Distribution]
    alpha: float
    beta: float = 0.01
    conditional: bool = False
    most_unlisted: float | None = None
    counts: Counter[str] = field(default_factory=Counter)
    set_aside: int = 0

    def __post_init__(self) -> None:
        tokens = set(self.null)
        if not self.conditional:
            tokens = tokens.union(*self.alternatives.values())
        self._null = self.complete(self.null, tokens)
        if self.most_unlisted is not None:
            self._null = self._null_of_listed(self.most_unlisted)
        self._alternatives = {name: self.complete(one, tokens) for name, one in self.alternatives.items()}
        self._named = RatioTest(tuple(self.alternatives), self.alpha, self.beta)
        self._log_null = self._log_unknown = self._most = 0.0

    @property
    def distributions(self) -> list[Distribution]:
        """The null, and the alternatives, as they are tested: over the same tokens, none of them impossible."""
        return [self._null, *self._alternatives.values()]

    def complete(self, distribution: Distribution, tokens: Iterable[str] | None = None) -> dict[str, float]:
        """The distribution over `tokens` (by default those of the null), with OTHER unless the test is conditional.
        Floored, so that no observation is impossible.
        """
        listed = {token: distribution.get(token, 0.0) for token in (self._null if tokens is None else tokens)}
        listed.pop(OTHER, None)
        if not self.conditional:
            listed[OTHER] = max(0.0, 1.0 - math.fsum(listed.values()))
        raised = {token: max(p, FLOOR) for token, p in listed.items()}
        total = math.fsum(raised.values())
        return {token: p / total for token, p in raised.items()}

    def _null_of_listed(self, most_unlisted: float) -> dict[str, float]:
        total = 1 - self._null[OTHER]
        return {token: p / total for token, p in self._null.items()} | {OTHER: max(most_unlisted, FLOOR)}

    def observe(self, token: str) -> None:
        if self.conditional and token not in self._null:
            self.set_aside += 1
            return
        seen = token if token in self._null else OTHER
        # Under a Dirichlet prior of weight ½ for each token (Krichevsky and Trofimov).
        self._log_unknown += math.log((self.counts[seen] + 0.5) / (self._named.observed + len(self._null) / 2))
        self.counts[seen] += 1
        self._log_null += math.log(self._null[seen])
        self._named.observe(self._null[seen], {name: one[seen] for name, one in self._alternatives.items()})
        self._most = max(self._most, self.log_e_value)

    @property
    def draws(self) -> int:
        return self.counts.total() + self.set_aside

    @property
    def log_e_value(self) -> float:
        """Of the mixture of all alternatives and the unknown one, with equal weights: its expectation is at most 1."""
        return log_mean_exp([*self._named.log_ratios.values(), self._log_unknown - self._log_null])

    @property
    def p_value(self) -> float:
        """An upper bound, from the largest e-value so far: more observations don't take a rejection back."""
        return bound_of(self._most)

    @property
    def is_rejected(self) -> bool:
        return self._most > -math.log(self.alpha)

    @property
    def best_alternative(self) -> str | None:
        """The alternative that explains the draws, if the null is rejected. None: none of the named ones does."""
        name = self._named.best_alternative
        if name is None:
            return None
        explains = self._named.log_ratios[name] + self._log_null >= self._log_unknown + math.log(self.beta)
        return name if explains else None

    @property
    def explanations(self) -> list[str]:
        """The named alternatives that explain the draws, best first: those that nearly tie with the best one."""
        return self._named.explanations if self.best_alternative else []

    @property
    def is_named(self) -> bool:
        """Whether it is clear which alternative explains the draws, if any of them does, or more draws won't tell."""
        best, *others = [self._alternatives[name] for name in self.explanations] or [self._null]
        return all(are_alike(best, other) for other in others)

    @property
    def is_accepted(self) -> bool:
        """Whether the draws rule out every named alternative."""
        return self._named.is_accepted

    @property
    def is_decided(self) -> bool:
        return self.is_rejected or self.is_accepted


def are_alike(one: Distribution, other: Distribution) -> bool:
    return all(abs(p - other[token]) < ALIKE for token, p in one.items())


def bound_of(log_e_value: float) -> float:
    """The p-value that an e-value stands for, by Ville's inequality."""
    return max(LEAST_P, math.exp(-max(log_e_value, 0.0)))


def log_mean_exp(terms: list[float]) -> float:
    peak = max(terms)
    return peak + math.log(math.fsum(math.exp(term - peak) for term in terms) / len(terms))
