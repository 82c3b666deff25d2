"""Ranks the deployments of a model for a request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from oruel.router.deployment import Deployment
from oruel.types import Tier

# Loads that differ by at most this many requests count as equal, so that a prefix stays where it is cached.
AFFINITY_SLACK = 2
# The assumed seconds to first token of an unmeasured deployment, per running request.
UNMEASURED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """The state of a deployment. `running`: requests in flight. `first_token`: expected seconds to first token when
    idle, None if never measured. `differs`: parameters of the request that it honours differently from the contract.
    """

    deployment: Deployment
    is_healthy: bool = True
    running: int = 0
    first_token: float | None = None
    differs: tuple[str, ...] = ()


def rank(candidates: Sequence[Candidate], tier: Tier, prefix: bytes = b"") -> list[Candidate]:
    """The healthy deployments that serve `tier` and differ only in what the catalog accepts, best first.

    Standard orders by cost, then by the number of differing parameters, then by load. Turbo orders by the expected
    time to first token. Ties are broken by `prefix`, so that requests that share it go to the same deployment.
    """
    able = [one for one in candidates if is_able(one, tier) and one.is_healthy]
    if tier == "turbo":
        return sorted(able, key=lambda one: (expected_wait(one), affinity(one, prefix)))
    least = min((one.running for one in able), default=0)
    return sorted(
        able,
        key=lambda one: (
            one.deployment.cost.weight,
            len(one.differs),
            max(0, one.running - least - AFFINITY_SLACK),
            affinity(one, prefix),
        ),
    )


def is_able(candidate: Candidate, tier: Tier) -> bool:
    return tier in candidate.deployment.tiers and candidate.deployment.accepts.issuperset(candidate.differs)


def expected_wait(candidate: Candidate) -> float:
    """Seconds to first token, including the wait for running requests. An idle deployment that was never measured
    counts as 0, so that one request measures it.
    """
    if candidate.first_token is None:
        return candidate.running * UNMEASURED_SECONDS
    return candidate.first_token * (1 + candidate.running)


def affinity(candidate: Candidate, prefix: bytes) -> bytes:
    """A rendezvous hash: if a deployment is removed, only its own prefixes move."""
    return blake2b(prefix, key=candidate.deployment.name.encode()[:64], digest_size=8).digest()
