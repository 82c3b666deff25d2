"""Which candidates can be chosen, and so how a row is processed. Rows with the same plan are processed together."""

from dataclasses import dataclass

from oruel_vllm.row_step import RowStep

MAX_TOP_K = 200
# How many leading candidates are tried first if top_p or min_p leaves out tokens and top_k doesn't.
FIRST_TRY = 256
FEW = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """`leading` candidates are considered, 0 for the whole vocabulary. `filters`: top_k, top_p or min_p can leave out
    tokens. `limited`: all rows have a top_k of at most `leading`, so that these candidates suffice.
    """

    leading: int = 0
    filters: bool = False
    limited: bool = False


GREEDY = Plan(leading=1, limited=True)
FREE = Plan()
FEW_LEADING = Plan(leading=FEW, filters=True, limited=True)
MANY_LEADING = Plan(leading=FIRST_TRY, filters=True, limited=True)
UNLIMITED = Plan(leading=FIRST_TRY, filters=True)
# For rows whose candidates an UNLIMITED plan doesn't hold.
WHOLE = Plan(filters=True)


def plan_of(step: RowStep) -> Plan:
    params = step.params
    if params.is_greedy:
        return GREEDY
    if not step.filters:
        return FREE
    if not params.top_k:
        return UNLIMITED
    return FEW_LEADING if params.top_k <= FEW else MANY_LEADING
