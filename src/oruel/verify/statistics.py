"""Sequential tests of a distribution over tokens. Every figure may be looked at after every draw: the likelihood ratio
of an alternative to the null is a martingale under the null, so it exceeds 1/α with a probability of at most α (Ville's
inequality), however long the draws go on.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Distribution = Mapping[str, float]
"""Probabilities by token. Whatever is missing from 1 belongs to OTHER."""

OTHER = "(other)"
# Reported log-probabilities are rounded, and unlisted tokens may have any share of the rest.
FLOOR = 1e-9


def complete(distribution: Distribution) -> dict[str, float]:
    """The distribution with OTHER, floored, so that no observation is impossible."""
    rest = max(0.0, 1.0 - math.fsum(distribution.values()))
    raised = {token: max(p, FLOOR) for token, p in {**distribution, OTHER: rest}.items()}
    total = math.fsum(raised.values())
    return {token: p / total for token, p in raised.items()}


@dataclass
class SequentialTest:
    """Decides between `null`, what the contract says, named `alternatives`, and anything else.

    `alpha` bounds the probability that a right endpoint is called wrong, over all alternatives together; `beta` bounds,
    for each alternative, the probability that an endpoint which follows it is called right.
    """

    null: Distribution
    alternatives: Mapping[str, Distribution]
    alpha: float
    beta: float = 0.01
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._null = complete(self.null)
        self._alternatives = {name: complete(one) for name, one in self.alternatives.items()}
        self._log_ratios = dict.fromkeys(self._alternatives, 0.0)
        self._log_null = 0.0

    def observe(self, token: str) -> None:
        seen = token if token in self._null else OTHER
        self.counts[seen] += 1
        self._log_null += math.log(self._null[seen])
        for name, one in self._alternatives.items():
            self._log_ratios[name] += math.log(one.get(seen, one[OTHER]) / self._null[seen])

    @property
    def draws(self) -> int:
        return self.counts.total()

    @property
    def log_e_value(self) -> float:
        """Of the mixture of all alternatives and the unknown one, with equal weights: its expectation is at most 1."""
        terms = [*self._log_ratios.values(), self._log_unknown - self._log_null]
        return log_mean_exp(terms)

    @property
    def p_value(self) -> float:
        """An upper bound, valid at any time."""
        return min(1.0, math.exp(-max(self.log_e_value, 0.0)))

    @property
    def _log_unknown(self) -> float:
        """The probability of the draws under a Dirichlet prior of weight ½ for each token (Krichevsky and Trofimov)."""
        size, total = len(self._null), self.draws
        value = math.lgamma(size / 2) - math.lgamma(total + size / 2)
        return value + math.fsum(math.lgamma(n + 0.5) - math.lgamma(0.5) for n in self.counts.values())

    @property
    def is_rejected(self) -> bool:
        return self.log_e_value > -math.log(self.alpha)

    @property
    def best_alternative(self) -> str | None:
        """The alternative that explains the draws, if the null is rejected. None: none of the named ones does."""
        if not self._log_ratios:
            return None
        name = max(self._log_ratios, key=self._log_ratios.__getitem__)
        explains = self._log_ratios[name] + self._log_null >= self._log_unknown + math.log(self.beta)
        return name if explains else None

    @property
    def is_accepted(self) -> bool:
        """Whether the draws rule out every named alternative."""
        return all(-ratio > -math.log(self.beta) for ratio in self._log_ratios.values())

    @property
    def is_decided(self) -> bool:
        return self.is_rejected or self.is_accepted


def log_mean_exp(terms: list[float]) -> float:
    peak = max(terms)
    return peak + math.log(math.fsum(math.exp(term - peak) for term in terms) / len(terms))
