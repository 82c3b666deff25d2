"""`python -m tests.verify.power [PROCESSES]` measures the power of the statistical checks, and writes the tables of
docs/verify.md. It takes about ten minutes of one core. Its seeds are fixed, whatever the number of processes.
"""

import asyncio
import math
import re
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median, quantiles

from oruel.verify.checks import CHECKS
from oruel.verify.probe import Probe
from oruel.verify.profile import ORUEL
from oruel.verify.runner import run_check
from oruel.verify.survey import survey
from oruel.verify.verdict import Verdict
from tests.verify import faults_penalties, faults_sampling
from tests.verify.faults import FAULTS
from tests.verify.in_process import endpoint_of
from tests.verify.planted import Fault
from tests.verify.simulated import ALPHA, HONEST, Row, Size, count_faults, measurements, share, truths
from tests.verify.toy_server import ToyServer

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"
TABLES = re.compile(r"(?<=tests/verify/power.py writes these tables. -->\n).*?(?=<!-- end of power -->)", re.DOTALL)
# Planted defects are judged by the whole check, on so many toy models.
MODELS = 10


def upper_bound(found: int, runs: int, level: float = 0.95) -> float:
    """Clopper and Pearson's one-sided upper bound of a rate, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        tail = math.fsum(math.comb(runs, n) * rate**n * (1 - rate) ** (runs - n) for n in range(found + 1))
        low, high = (rate, high) if tail > 1 - level else (low, rate)
    return high


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)) + "\n"


def median_and_most(values: Sequence[float]) -> tuple[str, str]:
    """The median, and the value that 90 % don't exceed."""
    most = quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else values[0]
    return f"{median(values):,.0f}", f"{most:,.0f}"


def names(row: Row) -> str:
    return ", ".join(f"`{check}`" for check in row.checks)


def powers(rows: Iterable[Row]) -> str:
    head = ("check", "the endpoint follows", "`D(Q‖P)`", "draws, median", "90 %", "found", "named", "or among others")
    return table(head, [power(row) for row in rows if row.truth != HONEST])


def power(row: Row) -> tuple[str, ...]:
    nats = f"{median(row.nats):.2g}" if row.nats else ""
    found = f"{len(row.faults) / len(row.runs):.1%}"
    named = ("", f"by `{row.left_to}`") if row.left_to else (f"{row.share_named():.0%}", f"{row.share_listed():.0%}")
    draws = median_and_most([run.draws for run in row.runs])
    return (names(row), row.truth, nats, *draws, *(percent(cell) for cell in (found, *named)))


def percent(cell: str) -> str:
    return cell.replace(".0%", "%").replace("%", " %")


def honest(rows: Iterable[Row]) -> str:
    head = ("check", "draws, median", "90 %", "honoured", "false alarms", "at most", "false alarms at α = 5 %")
    return table(head, [honesty(row) for row in rows if row.truth == HONEST])


def honesty(row: Row) -> tuple[str, ...]:
    alarms, runs = count_faults(row.runs), len(row.runs)
    honoured = percent(f"{share(run.verdict.outcome.holds for run in row.runs):.1%}")
    often = f"{row.often[1]} of {row.often[0]:,}" if row.often[0] else ""
    bound = percent(f"{upper_bound(alarms, runs):.2%}")
    return (
        names(row),
        *median_and_most([run.draws for run in row.runs]),
        honoured,
        f"{alarms} of {runs:,}",
        bound,
        often,
    )


def whole_runs(rows: Iterable[Row]) -> tuple[int, int]:
    """False alarms among runs of all checks of first tokens, and the runs."""
    checks = [[run.verdict.outcome.is_fault for run in row.runs] for row in rows if row.often[0]]
    together = [any(verdicts) for verdicts in zip(*checks, strict=False)]
    return sum(together), len(together)


def defects() -> list[Fault]:
    """Of sampling, penalties and log-probabilities, that are found by other checks than those which are simulated."""
    modules = (faults_sampling.__name__, faults_penalties.__name__)
    simulated = {check for check, _ in truths()}
    return [one for one in FAULTS if one.server.__module__ in modules and one.check not in simulated]


def checks_of_defects() -> list[str]:
    return list(dict.fromkeys(fault.check for fault in defects()))


async def judged(server: ToyServer, name: str, salt: int) -> tuple[Verdict, int]:
    """The verdict of one check, and its requests."""
    check = next(check for check in CHECKS if check.name == name)
    async with endpoint_of(server) as endpoint:
        facts = await survey(endpoint)
        before = endpoint.budget.requests
        verdict = await run_check(check, Probe(endpoint, facts, ORUEL, ALPHA, Random(salt)))
        return verdict, endpoint.budget.requests - before


async def measure_defect(fault: Fault) -> tuple[str, ...]:
    found = [await judged(fault.server(1, salt), fault.check, salt) for salt in range(MODELS)]
    faulty = [verdict for verdict, _ in found if verdict.outcome.is_fault]
    named = sum(fault.verdict in f"{verdict.outcome}: {verdict.how}" for verdict in faulty)
    requests = median_and_most([requests for _, requests in found])
    return f"`{fault.check}`", phrase(fault), *requests, f"{len(faulty)} of {MODELS}", f"{named} of {MODELS}"


def phrase(fault: Fault) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])", " ", fault.name).lower()
    return f"{words} (“{fault.verdict}”)"


async def measure_honest(name: str) -> tuple[str, ...]:
    found = [await judged(ToyServer(1, salt), name, salt) for salt in range(MODELS)]
    alarms = sum(verdict.outcome.is_fault for verdict, _ in found)
    holds = sum(verdict.outcome.holds for verdict, _ in found)
    requests = median_and_most([requests for _, requests in found])
    return f"`{name}`", "honest", *requests, f"{alarms} of {MODELS}", f"honoured: {holds} of {MODELS}"


def simulated(part: tuple[int, int]) -> list[Row]:
    """A measurement, by its place among them, on the toy model of a salt."""
    place, salt = part
    return asyncio.run(list(measurements())[place](Size(models=[salt])))


def together(parts: Iterable[Iterable[Row]]) -> list[Row]:
    rows: dict[tuple[tuple[str, ...], str], Row] = {}
    for row in chain.from_iterable(parts):
        if (key := (row.checks, row.truth)) in rows:
            rows[key].add(row)
        else:
            rows[key] = row
    return list(rows.values())


def of_defect(place: int) -> tuple[str, ...]:
    return asyncio.run(measure_defect(defects()[place]))


def of_honest(name: str) -> tuple[str, ...]:
    return asyncio.run(measure_honest(name))


def write(processes: int) -> None:
    parts = [(place, salt) for place in range(len(list(measurements()))) for salt in Size().models]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        simulations = pool.map(simulated, parts)
        planted = [*pool.map(of_defect, range(len(defects()))), *pool.map(of_honest, checks_of_defects())]
        rows = together(simulations)
    alarms, runs = whole_runs(rows)
    head = ("check", "planted defect", "requests, median", "90 %", "found", "named")
    bound = percent(f"{upper_bound(alarms, runs):.3%}")
    all_checks = f"Runs of all checks of first tokens: {alarms} false alarms in {runs:,} runs, at most {bound}.\n"
    text = "\n".join([powers(rows), honest(rows), all_checks, table(head, planted)])
    PAGE.write_text(TABLES.sub(lambda _: text, PAGE.read_text()))


if __name__ == "__main__":
    write(int(sys.argv[1]) if sys.argv[1:] else 1)
