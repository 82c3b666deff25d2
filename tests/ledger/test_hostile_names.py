"""SQL knows values only as bound parameters: nothing from outside becomes part of a statement."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import oruel.ledger
from oruel.errors import InvalidParameter
from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.printable import Printable
from oruel.ledger.usage import UsageQuery
from tests.ledger.gateway import CHAT, PRICE, USD, body, stubbed_gateway
from tests.postgres import PostgresServer

SOURCES = sorted(Path(oruel.ledger.__path__[0]).glob("*.py"))
EXECUTORS = {"execute", "exec_driver_sql", "executemany", "executescript", "text", "literal_column"}
KEYWORDS = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WHERE|VALUES)\s")
# SQLite takes no parameters in a PRAGMA. The values are constants of the program.
PRAGMAS = ('f"PRAGMA {pragma}"', 'f"PRAGMA application_id = {APPLICATION_ID}"')
# From a file of the program, and as SQLAlchemy has compiled it with parameters.
READ_ELSEWHERE = {"migrations.py: statement", "engines.py: statement", "statement.py: text"}

HOSTILE = (
    "'; DROP TABLE requests; --",
    '"; DELETE FROM accounts; --',
    "Robert'); --",
    "%s %(name)s :id ? $1 {0}",
    "\\' OR 1=1 --",
    "🪙 account 名前 ß",
    'O\'Brien "the" `tick`',
)


def calls_with_sql(path: Path) -> Iterator[ast.expr]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in EXECUTORS:
                yield node.args[0]


def is_built(node: ast.expr) -> bool:
    """Whether the text is put together here: an f-string, %, +, format, join, replace."""
    methods = {"format", "join", "replace", "format_map"}
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods
    return isinstance(node, ast.JoinedStr | ast.BinOp) or is_method


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_statement_is_put_together(path: Path) -> None:
    for given in calls_with_sql(path):
        assert not is_built(given) or ast.unparse(given).replace("'", '"') in PRAGMAS, ast.unparse(given)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr | ast.BinOp):
            assert not KEYWORDS.search(ast.unparse(node)), ast.unparse(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_text_reaches_the_driver_only_from_known_places(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr == "exec_driver_sql" and isinstance(node.args[0], ast.Name):
            assert f"{path.name}: {node.args[0].id}" in READ_ELSEWHERE


@pytest.mark.anyio
async def test_hostile_names_are_kept_as_they_are(store_location: str) -> None:
    async with stubbed_gateway(store_location) as server:
        for name in HOSTILE:
            key = server.add_key(name, credit=USD, models=("m", name), expires=2**60)
            server.administration.credit_account(name, 1, note=name)
            server.administration.create_key(name, KeyTerms(name=name))
            ascii_name = name.encode("ascii", "ignore").decode()
            client = server.client(key, **{"idempotency-key": ascii_name, "x-request-id": ascii_name})
            first = await client.post(CHAT, json=body(user=name, metadata={name[:60]: name}))
            assert first.status_code == 200, first.text
            assert (await client.post(CHAT, json=body(user=name, metadata={name[:60]: name}))).content == first.content
            assert (await client.post(CHAT, json=body(model=name))).status_code == 404
            assert server.balance(name) == USD + 1 - PRICE
            usage = await client.get("/v1/usage", params={"by": "day,model,tier"})
            assert usage.status_code == 200
            assert (await client.get("/v1/usage", params={"by": name})).status_code == 400
        assert [account.name for account in server.administration.list_accounts()] == list(HOSTILE)
        assert len(server.rows()) == len(HOSTILE)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "line\nbreak", "\x1b[31mred", "", "x" * 10_000])
def test_names_that_a_database_or_a_terminal_would_misread_are_refused(name: str) -> None:
    with pytest.raises(InvalidParameter):
        Printable().parse(name, "name")


def test_a_hostile_name_finds_only_its_own_account(store: Database) -> None:
    administration = Administration(store, KeySecret(b"s" * 32))
    for name in ("ada", *HOSTILE):
        administration.create_account(name)
    for name in HOSTILE:
        rows = administration.report_usage(UsageQuery(account=name))
        assert rows == []
        administration.credit_account(name, 5)
    assert [account.balance for account in administration.list_accounts()] == [None, *[5] * len(HOSTILE)]


def test_the_tables_of_postgresql_survive(postgres: PostgresServer) -> None:
    location = postgres.create_database()
    store = Database.open(location)
    administration = Administration(store, KeySecret(b"s" * 32))
    for name in HOSTILE:
        administration.create_account(name)
    store.close()
    assert postgres.execute("SELECT name FROM accounts ORDER BY created", location) == list(HOSTILE)
