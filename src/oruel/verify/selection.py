"""Finds checks by name."""

import difflib
from collections.abc import Sequence

from oruel.errors import VerifyFailed
from oruel.verify.check import Check


def find_checks(checks: Sequence[Check], name: str) -> list[Check]:
    """All checks of the parameter of that name, or else the check. Raises VerifyFailed with the nearest names."""
    wanted = name.strip().strip("-").replace("-", "_").lower()
    found = [one for one in checks if one.parameter == wanted] or [one for one in checks if one.name == wanted]
    if not found:
        raise VerifyFailed(f'There is no check "{name[:64]}".{nearest_names(checks, wanted[:64])}')
    return found


def select_checks(checks: Sequence[Check], names: Sequence[str]) -> list[Check]:
    """Those of `names`, each of which may list several, separated by commas. The order stays; no names means all."""
    wanted = [name for listed in names for name in listed.split(",") if name.strip()]
    chosen = {check.name for name in wanted for check in find_checks(checks, name)}
    return [check for check in checks if not wanted or check.name in chosen]


def nearest_names(checks: Sequence[Check], name: str) -> str:
    known = sorted({known for check in checks for known in (check.name, check.parameter)})
    close = [one for one in known if name in one][:3] or difflib.get_close_matches(name, known, n=3)
    if not close:
        return " --explain all lists them."
    return f" Did you mean {', '.join(close)}?"
