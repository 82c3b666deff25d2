"""Ranking, latency, circuit breaker and retry budget, with simulated time."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from oruel.router.circuit_breaker import LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, TOLERATED, CircuitBreaker
from oruel.router.deployment import Deployment, EmbeddedSource
from oruel.router.latency import FirstTokenLatency
from oruel.router.price import Price
from oruel.router.ranking import AFFINITY_SLACK, Candidate, rank
from oruel.router.retries import MAX_RETRIES, RetryBudget
from oruel.types import Tier


def candidate(
    name: str, *, cost: str = "1", tiers: tuple[Tier, ...] = ("standard", "turbo"), accepts: tuple[str, ...] = ()
) -> Candidate:
    deployment = Deployment(name, EmbeddedSource("demo"), tiers, Price(Decimal(cost)), frozenset(accepts))
    return Candidate(deployment)


def names(order: list[Candidate]) -> list[str]:
    return [one.deployment.name for one in order]


def test_standard_prefers_the_cheapest_healthy_and_able_deployment() -> None:
    cheap, dear = candidate("cheap", cost="0.1"), candidate("dear", cost="9")
    assert names(rank([dear, cheap], "standard")) == ["cheap", "dear"]
    assert names(rank([dear, replace(cheap, is_healthy=False)], "standard")) == ["dear"]
    assert names(rank([dear, replace(cheap, differs=("seed",))], "standard")) == ["dear"]
    assert names(rank([candidate("cheap", cost="0.1", tiers=("turbo",)), dear], "standard")) == ["dear"]
    accepting = replace(candidate("cheap", cost="0.1", accepts=("seed",)), differs=("seed",))
    assert names(rank([dear, accepting], "standard")) == ["cheap", "dear"]


def test_at_equal_cost_the_deployment_with_fewest_differences_wins() -> None:
    exact, other = candidate("exact"), replace(candidate("a", accepts=("seed",)), differs=("seed",))
    for prefix in (b"1", b"2", b"3"):
        assert names(rank([other, exact], "standard", prefix)) == ["exact", "a"]


def test_turbo_prefers_the_shortest_wait_for_a_first_token() -> None:
    slow, quick = replace(candidate("slow"), first_token=2.0), replace(candidate("quick"), first_token=0.2)
    assert names(rank([slow, quick], "turbo")) == ["quick", "slow"]
    assert names(rank([slow, replace(quick, running=20)], "turbo")) == ["slow", "quick"]
    assert names(rank([slow, quick, candidate("new")], "turbo"))[0] == "new"


def test_a_prefix_keeps_its_deployment_until_others_are_less_busy() -> None:
    fleet = [candidate(f"d{number}") for number in range(4)]
    homes = Counter(names(rank(fleet, "standard", f"prefix {number}".encode()))[0] for number in range(4000))
    assert all(800 < count < 1200 for count in homes.values())
    home = names(rank(fleet, "standard", b"mine"))[0]
    busy = [replace(one, running=AFFINITY_SLACK if one.deployment.name == home else 0) for one in fleet]
    assert names(rank(busy, "standard", b"mine"))[0] == home
    busier = [replace(one, running=AFFINITY_SLACK + 1 if one.deployment.name == home else 0) for one in fleet]
    assert names(rank(busier, "standard", b"mine"))[0] != home
    fewer = [one for one in fleet if one.deployment.name != names(rank(fleet, "standard", b"other"))[-1]]
    assert names(rank(fewer, "standard", b"other"))[0] == names(rank(fleet, "standard", b"other"))[0]


def test_a_thundering_herd_spreads_over_equal_deployments() -> None:
    running = Counter({f"d{number}": 0 for number in range(5)})
    for _ in range(500):
        fleet = [replace(candidate(name), running=count) for name, count in running.items()]
        running[names(rank(fleet, "standard", b"all the same"))[0]] += 1
    assert max(running.values()) - min(running.values()) <= AFFINITY_SLACK + 1


def test_turbo_avoids_a_slow_deployment_until_it_recovers() -> None:
    paces = {"a": FirstTokenLatency(), "b": FirstTokenLatency()}

    def ask(now: float, seconds: dict[str, float]) -> str:
        fleet = [replace(candidate(name), first_token=pace.expected(now)) for name, pace in paces.items()]
        chosen = names(rank(fleet, "turbo"))[0]
        paces[chosen].measure(seconds[chosen], 0, now)
        return chosen

    early = Counter(ask(now, {"a": 0.1, "b": 1.0}) for now in range(50))
    assert early["a"] == 49
    late = [ask(now, {"a": 5.0, "b": 0.2}) for now in range(100, 160)]
    assert Counter(late)["b"] > 40
    assert late[-1] == "b"


def test_a_single_slow_measurement_decays() -> None:
    steady, cold = FirstTokenLatency(), FirstTokenLatency()
    cold.measure(30.0, 0, now=0)
    asked = Counter[str]()
    for now in range(0, 1200, 5):
        fleet = [
            replace(candidate("steady"), first_token=steady.expected(now)),
            replace(candidate("cold"), first_token=cold.expected(now)),
        ]
        chosen = names(rank(fleet, "turbo"))[0]
        (steady if chosen == "steady" else cold).measure(0.2 if chosen == "steady" else 0.1, 0, now)
        asked[chosen] += 1
    assert asked["cold"] > asked["steady"], "it has become the faster deployment"


def test_a_turbo_herd_spreads_over_unmeasured_deployments() -> None:
    for first_token in (None, 0.5):
        running = Counter({"a": 0, "b": 0, "c": 0})
        for _ in range(300):
            fleet = [
                replace(candidate(name), running=count, first_token=first_token) for name, count in running.items()
            ]
            running[names(rank(fleet, "turbo", b"same"))[0]] += 1
        assert max(running.values()) - min(running.values()) <= 1


def test_queueing_time_is_not_counted_twice() -> None:
    alone, crowd = FirstTokenLatency(), FirstTokenLatency()
    alone.measure(0.5, 0, now=0)
    crowd.measure(5.0, 9, now=0)
    assert alone.expected(0) == crowd.expected(0)


def test_the_pause_of_a_flapping_deployment_grows() -> None:
    breaker, now, asked = CircuitBreaker(), 0.0, 0
    while now < 1000:
        if breaker.allows(now):
            trial = breaker.begin(now)
            asked += 1
            assert not breaker.is_open or not breaker.allows(now), "one probe at a time"
            breaker.fail(trial, now + 0.05)
        now += 0.1
    assert TOLERATED <= asked <= 20
    assert breaker.pause == LONGEST_PAUSE_SECONDS
    breaker.succeed(breaker.begin(now))
    assert breaker.allows(now)
    assert breaker.pause == PAUSE_SECONDS


def record_failure(breaker: CircuitBreaker, now: float) -> None:
    breaker.fail(breaker.begin(now), now + 0.01)


def test_neither_one_failure_nor_an_abandoned_probe_pauses_a_deployment() -> None:
    breaker = CircuitBreaker()
    record_failure(breaker, 0)
    assert breaker.allows(0.1)
    for now in range(1, TOLERATED):
        record_failure(breaker, now)
    assert not breaker.allows(TOLERATED + 1)
    later = breaker.opened + breaker.pause + 1
    probe = breaker.begin(later)
    assert not breaker.allows(later)
    breaker.leave(probe)
    assert breaker.allows(later)


def test_simultaneous_failures_count_as_one_outage() -> None:
    breaker = CircuitBreaker()
    together = [breaker.begin(0) for _ in range(50)]
    for trial in together:
        breaker.fail(trial, 1.0)
    assert breaker.pause == PAUSE_SECONDS
    assert breaker.allows(1.0 + PAUSE_SECONDS)


def test_an_older_request_is_not_the_probe() -> None:
    breaker = CircuitBreaker()
    old = breaker.begin(0)
    for now in range(1, 1 + TOLERATED):
        record_failure(breaker, now)
    breaker.begin(breaker.opened + breaker.pause)
    breaker.succeed(old)
    breaker.leave(old)
    assert not breaker.allows(breaker.opened + breaker.pause + 1), "the probe is still running"


def test_incomplete_answers_open_the_circuit_breaker() -> None:
    breaker = CircuitBreaker()
    for now in range(TOLERATED):
        trial = breaker.begin(now)
        breaker.answer(trial)
        breaker.fail(trial, now + 0.5)
    assert not breaker.allows(TOLERATED)
    probe = breaker.begin(breaker.opened + breaker.pause)
    breaker.answer(probe)
    assert breaker.allows(breaker.opened + breaker.pause), "others may follow a probe's first token"
    pause = breaker.pause
    breaker.fail(probe, 100)
    assert breaker.pause == 2 * pause


def test_the_retry_budget_is_a_fifth_of_the_requests() -> None:
    budget, retried = RetryBudget(), 0
    for _ in range(1000):
        budget.earn()
        retried += budget.spend()
    assert 200 <= retried <= 200 + MAX_RETRIES
