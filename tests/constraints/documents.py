"""Documents of random schemas, written as the engine writes them, and what is wrong with them."""

import bisect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from oruel.constraints.closing.first_end import left_out_of_document
from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.refusals import MAX_REFUSED
from oruel.constraints.spec import SchemaSpec, schema_spec
from oruel.constraints.tokens import TokenTable, panics_refused
from oruel.errors import SchemaRefused
from oruel.sampling.constraint import MAX_WORK, UNDECIDED, Constraint, WorkBudget
from oruel.sampling.sampler import Sampler
from oruel.types import SamplingParams
from tests.constraints import oracle
from tests.constraints.schema_strategies import SchemaCase
from tests.constraints.writers import WRITERS

# The engine's budget a step, and the most that one token may need in all: a search for each that is refused.
WORK_A_STEP = 2_000
MOST_WORK_A_TOKEN = (MAX_REFUSED + 2) * MAX_WORK
# Budgets to try in search of the shortest document.
LARGEST_BUDGET, UNKNOWN_BUDGET = 4_096, 100


class Undecided(Exception):
    """A token took more work than any may."""


@dataclass(frozen=True)
class DocumentPlan:
    """How to write a document: in as many tokens as the shortest needs and `extra` more."""

    extra: int
    writer: str
    params: SamplingParams


def document_plans() -> st.SearchStrategy[DocumentPlan]:
    params = st.builds(
        SamplingParams,
        temperature=st.sampled_from([1.0, 0.0, 2.0]) | st.floats(0.01, 2),
        top_k=st.sampled_from([0, 0, 0, 40, 2]),
        top_p=st.sampled_from([1.0, 1.0, 0.9]),
        min_p=st.sampled_from([0.0, 0.0, 0.05]),
        frequency_penalty=st.sampled_from([0.0, 0.0, 0.0, 1.0, -1.0]),
        seed=st.integers(0, 2**31),
    )
    extras = st.integers(0, 12) | st.integers(0, 100) | st.integers(0, 400)
    return st.builds(DocumentPlan, extras, st.sampled_from(sorted(WRITERS)), params)


@dataclass(frozen=True)
class Examined:
    """What a server says of a schema: `reason` if it refuses it; otherwise the keywords that aren't held, or may keep a
    document from being closed. `shortest`: the smallest budget in which a document can be closed.
    """

    reason: str = ""
    named: tuple[str, ...] = ()
    spec: SchemaSpec | None = None
    shortest: int | None = None

    def budget(self, plan: DocumentPlan) -> int:
        return (self.shortest or UNKNOWN_BUDGET) + plan.extra


@dataclass(frozen=True)
class WrittenDocument:
    """`reason`: why it was broken off; `most_work`: for one token."""

    text: bytes
    budget: int
    length: int = 0
    most_work: int = 0
    could_close: bool = True
    reason: str = ""


def examine(tokens: TokenTable, schema: dict[str, Any]) -> Examined:
    try:
        with panics_refused():
            named, spec = left_out_of_document(schema).keywords, schema_spec(schema)
            return Examined("", named, spec, shortest_budget(tokens, spec))
    except SchemaRefused as error:
        return Examined(reason=error.message)


def shortest_budget(tokens: TokenTable, spec: SchemaSpec) -> int | None:
    """None if a document can't be closed in LARGEST_BUDGET either."""
    budgets = range(1, LARGEST_BUDGET + 1)
    place = bisect.bisect_left(budgets, True, key=lambda budget: GrammarConstraint(tokens, spec, budget).can_close)
    return budgets[place] if place < len(budgets) else None


def write(tokens: TokenTable, schema: Any, spec: SchemaSpec, budget: int, plan: DocumentPlan) -> WrittenDocument:
    """As the engine does, with the tokens that a constraint forces at once."""
    text, length, most_work, could_close = bytearray(), 0, 0, True
    try:
        with panics_refused():
            constraint = GrammarConstraint(tokens, spec, budget)
            could_close = constraint.can_close
            for token, work in chosen_tokens(tokens, schema, constraint, budget, plan, text):
                text += tokens.pieces[token]
                length, most_work = length + 1, max(most_work, work)
    except SchemaRefused as error:
        return WrittenDocument(bytes(text), budget, length, most_work, could_close, error.message)
    except Undecided as error:
        return WrittenDocument(bytes(text), budget, length, MOST_WORK_A_TOKEN, could_close, str(error))
    return WrittenDocument(bytes(text), budget, length, most_work, could_close)


def chosen_tokens(
    tokens: TokenTable, schema: Any, constraint: Constraint, budget: int, plan: DocumentPlan, text: bytearray
) -> Iterator[tuple[int, int]]:
    """The tokens, each with the work that it took. The caller appends their bytes to `text`."""
    writer = WRITERS[plan.writer](tokens, plan.params.seed, schema)
    sampler = Sampler(plan.params, 0, tokens.size, constraint)
    left = budget
    while left > 0 and not constraint.is_complete:
        token, work = decided(sampler, writer.row(bytes(text)))
        if token in tokens.ends:
            return
        sampler.accept(token)
        left -= 1
        yield token, work
        for token in list(sampler.forced[:left]):
            if token in tokens.ends:
                return
            sampler.accept(token)
            left -= 1
            yield token, 0


def decided(sampler: Sampler, row: Any) -> tuple[int, int]:
    """The next token, and the work that it took. Raises Undecided if it takes too much."""
    spent = 0
    while spent <= MOST_WORK_A_TOKEN:
        work = WorkBudget(WORK_A_STEP)
        token = sampler.sample(row, work)
        spent += WORK_A_STEP - work.left
        if token != UNDECIDED:
            return token, spent
    raise Undecided(f"a token isn't decided after {spent} units of work")


def verdict(schema: dict[str, Any], examined: Examined, written: WrittenDocument) -> str:
    """One word or two of what is wrong with the document; "valid" if nothing is."""
    if written.reason:
        return "broken off"
    if not written.could_close:
        return "unclosed, named" if examined.named else "unclosed"
    try:
        document = oracle.read(written.text)
    except ValueError:
        return "not JSON"
    except OverflowError:
        return "infinite number"
    if written.length > written.budget:
        return "beyond its budget"
    return validity(schema, examined.named, document)


def validity(schema: dict[str, Any], named: Collection[str], document: Any) -> str:
    held = oracle.without(schema, named)
    try:
        if not oracle.is_valid(held, document):
            return "invalid"
        if not oracle.is_valid(oracle.by_ecma(held), document):
            return "invalid by ECMA 262"
        return "valid" if not named or oracle.is_valid(schema, document) else "valid but for what is named"
    except RecursionError:
        return "undecided"


def fits(case: SchemaCase) -> bool:
    """Whether the document that the schema was built around fits it."""
    try:
        return oracle.is_valid(case.schema, case.document)
    except RecursionError:
        return False
