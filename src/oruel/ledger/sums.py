"""Exact sums. SQLite fails if a sum leaves 64 bits, so quotients and remainders are summed apart."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, func, type_coerce

SPLIT = 10**6


def sum_parts(column: Column[int]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The sums of the quotients and of the remainders of a column without negative values, for `join_sum`."""
    whole = type_coerce(column, BigInteger)
    return func.coalesce(func.sum(whole // SPLIT), 0), func.coalesce(func.sum(whole % SPLIT), 0)


def join_sum(parts: Sequence[Any]) -> int:
    """PostgreSQL returns sums as decimals."""
    quotient, remainder = parts
    return int(quotient) * SPLIT + int(remainder)
