"""Ranks the deployments of a model for a request. Pure: what is known of each goes in, an order comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from oruel.router.deployment import Deployment
from oruel.types import Tier

# Loads that differ by at most so many requests count as equal, so that a prefix stays where it is cached.
AFFINITY_SLACK = 2
# The assumed seconds to a first token, per request of a deployment that was never measured.
UNMEASURED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a deployment: its `running` requests; `first_token`, the expected seconds when idle, None if
    never measured; whether it is available; and what it would honour differently from the contract.
    """

    deployment: Deployment
    is_healthy: bool = True
    running: int = 0
    first_token: float | None = None
    differs: tuple[str, ...] = ()


def rank(candidates: Sequence[Candidate], tier: Tier, prefix: bytes = b"") -> list[Candidate]:
    """The deployments that serve `tier`, are healthy, and differ only in what the catalog accepts, best first.

    Standard: the cheapest, then the one that honours most, then the least loaded. Turbo: the one with the soonest first
    token. Among equals, requests with the same `prefix` go to the same deployment.
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
    """Seconds to a first token, after the running requests. A deployment that was never measured is tried first, by one
    request.
    """
    if candidate.first_token is None:
        return candidate.running * UNMEASURED_SECONDS
    return candidate.first_token * (1 + candidate.running)


def affinity(candidate: Candidate, prefix: bytes) -> bytes:
    """Rendezvous hashing: removing a deployment moves only its own prefixes."""
    return blake2b(prefix, key=candidate.deployment.name.encode()[:64], digest_size=8).digest()
