"""`python -m tests.constraints.many_documents`: documents of random schemas, judged by jsonschema, and their counts.

Exits with status 1 if a document is invalid though nothing was named, is no JSON, or isn't closed in its budget,
whatever was named.
"""

import argparse
import json
import secrets
import sys
import time
import traceback
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.constraints import oracle
from tests.constraints.documents import LARGEST_BUDGET, DocumentPlan, document_plans, examine, fits, verdict, write
from tests.constraints.schema_strategies import SchemaCase, schema_cases
from tests.constraints.test_grammar import TOKENS

# After ten examples, hypothesis mostly changes earlier ones a little.
SCHEMAS_AT_ONCE, DOCUMENTS_A_SCHEMA = 10, 5
FAULTS = (
    "invalid",
    "invalid by ECMA 262",
    "not JSON",
    "infinite number",
    "unclosed",
    "unclosed, named",
    "broken off",
    "beyond its budget",
)
MOST_SHOWN = 40


class Tally:
    def __init__(self) -> None:
        self.schemas = self.documents = self.refused = self.refused_though_fitting = self.most_work = 0
        self.repeated_keys = self.longer_than_known = self.not_held = 0
        self.verdicts: Counter[str] = Counter()
        self.named: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.drawn: Counter[str] = Counter()
        self.faults: dict[str, dict[str, str]] = {}
        self._seen: set[str] = set()

    def take(self, case: SchemaCase, plans: list[DocumentPlan]) -> None:
        if (schema := json.dumps(case.schema)) in self._seen:
            return
        self._seen.add(schema)
        self.schemas += 1
        self.drawn.update(keywords_of(case.schema))
        try:
            self._judge(case, plans)
        except Exception:  # noqa: BLE001 - shown in the end; whatever it is, the other schemas can go on
            self.verdicts["crashed"] += 1
            self._note("crashed", case.schema, traceback.format_exc(limit=-4), plans)

    def _judge(self, case: SchemaCase, plans: list[DocumentPlan]) -> None:
        examined = examine(TOKENS, case.schema)
        if examined.spec is None:
            self.refused += 1
            self.reasons[examined.reason[:90]] += 1
            if fits(case):
                self.refused_though_fitting += 1
                self._note("refused though a document fits", case.schema, examined.reason, case.document)
            return
        self.named.update(examined.named)
        if fits(case) and (examined.shortest or LARGEST_BUDGET) > len(json.dumps(case.document)):
            self.longer_than_known += 1
        if examined.named:
            self.not_held += 1
            if fits(case):
                self._note("not held though a document fits", case.schema, " ".join(examined.named), case.document)
        for plan in plans:
            written = write(TOKENS, case.schema, examined.spec, examined.budget(plan), plan)
            found = verdict(case.schema, examined, written)
            self.documents += 1
            self.verdicts[found] += 1
            self.most_work = max(self.most_work, written.most_work)
            if found in FAULTS:
                named = " ".join(examined.named)
                self._note(
                    found,
                    case.schema,
                    f"[{named}] {plan.writer} {written.reason}",
                    written.text.decode("utf-8", "replace"),
                )
            elif found.startswith("valid"):
                self.repeated_keys += oracle.repeated_keys(written.text)

    def _note(self, fault: str, schema: Any, about: str, document: Any) -> None:
        shown = f"{json.dumps(schema, ensure_ascii=False)}\n    {about}: {document}"
        self.faults.setdefault(fault, {}).setdefault(json.dumps(schema), shown)

    def summary(self) -> dict[str, Any]:
        counts = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        tables = {name: dict(value.most_common()) for name, value in vars(self).items() if isinstance(value, Counter)}
        return counts | tables


def keywords_of(schema: Any) -> set[str]:
    """The keys of the schema and of the schemas in it."""
    return {key for one in oracle.schemas_in(schema) for key in one}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.constraints.many_documents", description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    tally, started, batch = Tally(), time.monotonic(), 0
    while tally.documents < arguments.documents:
        run_batch(tally, arguments.seed * 1000 + batch)
        batch += 1
    for fault, found in tally.faults.items():
        print(f"\n{fault}: {len(found)} schemas, the shortest of them:")
        print("\n".join(sorted(found.values(), key=len)[:MOST_SHOWN]))
    print(json.dumps(tally.summary() | {"seconds": round(time.monotonic() - started)}, indent=1, ensure_ascii=False))
    return int(any(tally.verdicts[fault] for fault in FAULTS))


def run_batch(tally: Tally, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=SCHEMAS_AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(schema_cases(), st.lists(document_plans(), min_size=DOCUMENTS_A_SCHEMA, max_size=DOCUMENTS_A_SCHEMA))
    def take(case: SchemaCase, plans: list[DocumentPlan]) -> None:
        tally.take(case, plans)

    take()


if __name__ == "__main__":
    sys.exit(main())
