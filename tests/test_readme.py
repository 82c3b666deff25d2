"""The README's table of parameters matches the declarations. `python -m tests.test_readme` rewrites it."""

import json
import re
from pathlib import Path

from oruel.contract.parameters import PARAMETERS, Parameter

README = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"(?<=tests/test_readme.py -->\n).*?(?=<!-- end of parameters -->)", re.DOTALL)


def row(parameter: Parameter) -> str:
    default = json.dumps(parameter.default) if parameter.default is not None else parameter.default_note or "unset"
    allowed = str(parameter.kind) if parameter.served else "refused for now"
    return f"| `{parameter.name}` | {allowed} | {default} |"


def table() -> str:
    return "\n".join(["| parameter | allowed | default |", "|---|---|---|", *map(row, PARAMETERS), ""])


def test_the_table_of_parameters_matches_the_declarations() -> None:
    assert TABLE.findall(README.read_text()) == [table()], "rewrite the table with python -m tests.test_readme"


if __name__ == "__main__":
    README.write_text(TABLE.sub(lambda _: table(), README.read_text()))
