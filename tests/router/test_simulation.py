"""The router's decisions together, in simulated time: under skewed load, beside a slow deployment, a flapping one or a
dead one, and when a herd arrives.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from random import Random

from oruel.router.circuit_breaker import InFlight
from oruel.router.deployment import Deployment, UpstreamSource
from oruel.router.ranking import rank
from oruel.router.route import Route
from oruel.types import ChatRequest, Message, SamplingParams, Tier
from tests.fakes import FakeBackend

REQUEST = ChatRequest("id", "m", (Message("user", "Hello"),), SamplingParams(reproducible=False))
UPSTREAM = UpstreamSource("http://x", "oruel", "m")
ANSWER_SECONDS = 1.0

FirstToken = Callable[[float, int], float | None]
"""Seconds to the first token at a time, behind so many others; None: it fails at once."""


Act = Callable[[float], None]


class Simulation:
    """Requests arrive, are sent to the best deployment, to the next where that fails, and take a second to answer.

    `asked` counts what each was sent, `most` what it had at once, `waits` are seconds to first tokens.
    """

    def __init__(self, servers: dict[str, FirstToken], tier: Tier = "standard") -> None:
        self.servers = servers
        self.asked = Counter[str]()
        self.most = Counter[str]()
        self.waits: list[float] = []
        self.lost = 0
        self._tier = tier
        self._routes = {name: Route(Deployment(name, UPSTREAM), FakeBackend()) for name in servers}
        self._events: list[tuple[float, int, Act]] = []
        self._order = count()

    def run(self, arrivals: Iterable[tuple[float, bytes]]) -> None:
        for time, prefix in arrivals:
            self._at(time, partial(self._arrive, prefix))
        while self._events:
            time, _, act = heapq.heappop(self._events)
            act(time)

    def _at(self, time: float, act: Act) -> None:
        heapq.heappush(self._events, (time, next(self._order), act))

    def _arrive(self, prefix: bytes, now: float) -> None:
        candidates = [route.candidate(REQUEST, now) for route in self._routes.values()]
        for one in rank(candidates, self._tier, prefix):
            if self._taken(one.deployment.name, now):
                return
        self.lost += 1

    def _taken(self, name: str, now: float) -> bool:
        route = self._routes[name]
        wait = self.servers[name](now, route.running)
        sent = route.send(now)
        self.asked[name] += 1
        self.most[name] = max(self.most[name], route.running)
        if wait is None:
            route.fail(sent, now)
            route.end(sent)
            return False
        self._at(now + wait, partial(self._begin, route, sent))
        return True

    def _begin(self, route: Route, sent: InFlight, now: float) -> None:
        self.waits.append(now - sent.began)
        route.begin(sent, now)
        self._at(now + ANSWER_SECONDS, partial(self._end, route, sent))

    def _end(self, route: Route, sent: InFlight, _: float) -> None:
        route.breaker.succeed(sent)
        route.end(sent)


def steady(seconds: float) -> FirstToken:
    return lambda now, behind: seconds * (1 + behind)


def every(seconds: float, requests: int, prefixes: Callable[[int], bytes]) -> Iterator[tuple[float, bytes]]:
    return ((number * seconds, prefixes(number)) for number in range(requests))


def test_skewed_load_spreads_and_still_keeps_prefixes_together() -> None:
    random = Random(7)
    sim = Simulation({name: steady(0.01) for name in "abcd"})
    # Half of the requests begin alike.
    sim.run(every(0.02, 5000, lambda number: b"hot" if random.random() < 0.5 else str(random.random()).encode()))
    assert sim.lost == 0
    assert max(sim.most.values()) <= 2 * min(sim.most.values()), sim.most
    assert max(sim.asked.values()) < 0.4 * 5000, sim.asked


def test_turbo_leaves_a_slow_one_alone_and_comes_back_when_it_is_quick() -> None:
    sim = Simulation(
        {"steady": steady(0.1), "slow": lambda now, behind: (2.0 if now < 100 else 0.01) * (1 + behind)}, tier="turbo"
    )
    sim.run(every(0.5, 200, lambda number: b""))
    assert sim.asked["slow"] <= 10, sim.asked
    before = sim.asked["slow"]
    again = Simulation(sim.servers, tier="turbo")
    again.run((100 + time, prefix) for time, prefix in every(0.5, 2000, lambda number: b""))
    assert again.asked["slow"] - before > 1000


def test_a_flapping_one_costs_few_failures_and_nobody_is_lost() -> None:
    # Ten seconds up, ten seconds down.
    sim = Simulation({"flapping": lambda now, behind: 0.05 if now % 20 < 10 else None, "good": steady(0.05)})
    sim.run(every(0.1, 6000, lambda number: str(number).encode()))
    assert sim.lost == 0
    failures = sim.asked["flapping"] + sim.asked["good"] - 6000
    assert failures < 0.05 * 6000, failures
    assert sim.asked["flapping"] > 500, "and it is used while it is up"


def test_a_dead_one_is_asked_a_handful_of_times() -> None:
    sim = Simulation({"dead": lambda now, behind: None, "good": steady(0.05), "other": steady(0.05)})
    sim.run(every(0.05, 6000, lambda number: str(number).encode()))
    assert sim.lost == 0
    assert sim.asked["dead"] <= 12, sim.asked


def test_a_herd_that_arrives_at_once_is_shared_whatever_the_tier() -> None:
    for tier in ("standard", "turbo"):
        sim = Simulation({name: steady(0.05) for name in "abc"}, tier=tier)
        sim.run((0.0, b"all the same") for _ in range(300))
        assert max(sim.asked.values()) - min(sim.asked.values()) <= 4, (tier, sim.asked)
        assert sim.lost == 0


def test_turbo_waits_no_longer_than_where_requests_go_in_turn() -> None:
    servers = {"quick": steady(0.02), "middle": steady(0.1), "slow": steady(0.5)}
    turbo = Simulation(servers, tier="turbo")
    turbo.run(every(0.1, 3000, lambda number: str(number).encode()))
    in_turn = Simulation(servers)
    in_turn.run(every(0.1, 3000, lambda number: str(number).encode()))
    assert sum(turbo.waits) < 0.5 * sum(in_turn.waits)
