"""Accounts: names, credits, balances and reservations, on both stores."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import select

from oruel.errors import AccountNotFound, InvalidParameter, KeyNotFound, NameTaken, OruelError
from oruel.ledger.accounts import balance_of, find_account, reserved_of
from oruel.ledger.administration import Administration
from oruel.ledger.amount import Amount
from oruel.ledger.database import Database
from oruel.ledger.entries import Opening, Settlement
from oruel.ledger.group import GroupWriter
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.money import MAX_USD, UNITS_PER_USD
from oruel.ledger.printable import Printable
from oruel.ledger.tables import metadata
from tests.ledger.request_rows import record

USD = UNITS_PER_USD


@pytest.fixture
def admin(store: Database) -> Administration:
    return Administration(store, KeySecret(b"s" * 32))


def contents(store: Database) -> dict[str, list[tuple[object, ...]]]:
    with store.reading() as connection:
        return {
            name: sorted(map(tuple, connection.execute(select(table))), key=str)
            for name, table in metadata.tables.items()
        }


def test_an_account_is_listed_by_its_name_with_its_balance(admin: Administration) -> None:
    admin.create_account("research")
    admin.create_account("Größe 🙂", 12 * USD)
    listed = admin.list_accounts()
    assert [(account.name, account.balance, account.reserved) for account in listed] == [
        ("research", None, 0),
        ("Größe 🙂", 12 * USD, 0),
    ]
    assert len({account.id for account in listed}) == 2


def test_the_first_credit_makes_an_account_prepaid(admin: Administration) -> None:
    account = admin.create_account("a")
    assert admin.credit_account("a", 5).balance == 5
    assert admin.credit_account(account.id, 7, "second").balance == 12


def test_what_an_account_has_used_before_its_first_credit_counts(admin: Administration, store: Database) -> None:
    account = admin.create_account("a")
    with store.transaction() as connection:
        record(connection, account=account.id, price=3 * USD)
    assert admin.credit_account("a", 10 * USD).balance == 7 * USD
    with store.reading() as connection:
        assert balance_of(connection, account.id) == 7 * USD


def test_only_requests_in_progress_reserve(admin: Administration, store: Database) -> None:
    account, other = admin.create_account("a", USD), admin.create_account("b")
    with store.transaction() as connection:
        record(connection, account=account.id, status=None, reserved=40)
        record(connection, account=account.id, status=None, reserved=2)
        record(connection, account=account.id, status="finished", reserved=1000)
        record(connection, account=other.id, status=None, reserved=500)
        record(connection, status=None, reserved=9)
    assert [one.reserved for one in admin.list_accounts()] == [42, 500]
    with store.reading() as connection:
        assert reserved_of(connection, account.id) == 42


def test_an_account_is_found_by_its_id_before_its_name(admin: Administration, store: Database) -> None:
    first = admin.create_account("first")
    admin.create_account(first.id)
    with store.reading() as connection:
        assert find_account(connection, first.id).name == "first"


REFUSED: list[tuple[Callable[[Administration], object], type[OruelError], str, str]] = [
    (lambda admin: admin.create_account("taken"), NameTaken, "name", '"taken"'),
    (lambda admin: admin.create_account("taken", 5), NameTaken, "name", '"taken"'),
    (lambda admin: admin.credit_account("nobody", 5), AccountNotFound, "account", '"nobody"'),
    (lambda admin: admin.credit_account("taken", MAX_USD * USD), InvalidParameter, "amount", "1000001"),
    (lambda admin: admin.list_keys("nobody"), AccountNotFound, "account", '"nobody"'),
    (lambda admin: admin.list_keys("taken\0"), AccountNotFound, "account", '"taken'),
    (lambda admin: admin.list_keys("\ud800"), AccountNotFound, "account", "no account"),
    (lambda admin: admin.revoke_key("key_\0"), KeyNotFound, "key", '"key_'),
]


@pytest.mark.parametrize(("change", "error", "param", "words"), REFUSED)
def test_a_refused_change_names_its_parameter_and_changes_nothing(
    admin: Administration,
    store: Database,
    change: Callable[[Administration], object],
    error: type[OruelError],
    param: str,
    words: str,
) -> None:
    admin.create_account("taken", USD)
    before = contents(store)
    with pytest.raises(error) as refused:
        change(admin)
    assert refused.value.param == param
    assert words in refused.value.message
    assert contents(store) == before


def test_concurrent_credits_all_count(admin: Administration) -> None:
    admin.create_account("a")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda amount: admin.credit_account("a", amount), range(1, 41)))
    assert admin.list_accounts()[0].balance == sum(range(1, 41))


def test_credits_while_requests_are_charged_all_count(admin: Administration, store: Database) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    account = admin.create_account("a")
    key, _ = admin.create_key("a", KeyTerms())
    writer = GroupWriter(store, "instance")

    def charge(number: int) -> int:
        price = source.randint(1, 10**9)
        opening = Opening(f"{number}", "req", account.id, key.id, "demo", "standard", 0, 2 * price, 10)
        [opened] = writer.write([opening], [])
        if opened.refusal:
            return 0
        writer.write([], [Settlement(opening, "finished", price=price)])
        return price

    with ThreadPoolExecutor(2) as threads:
        credited = threads.submit(lambda: [admin.credit_account("a", 5 * 10**9 + one) for one in range(30)])
        spent = sum(threads.submit(lambda: [charge(number) for number in range(60)]).result())
        credited.result()
    with store.reading() as connection:
        assert balance_of(connection, account.id) == 30 * 5 * 10**9 + sum(range(30)) - spent
        assert find_account(connection, "a").balance == balance_of(connection, account.id)
        assert reserved_of(connection, account.id) == 0


def test_of_several_processes_that_take_a_name_one_gets_it(admin: Administration) -> None:
    def create(_: int) -> str:
        try:
            return admin.create_account("wanted", 1).name
        except NameTaken:
            return "taken"

    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(create, range(8)))
    assert outcomes == ["taken"] * 7 + ["wanted"]
    assert [account.balance for account in admin.list_accounts()] == [1]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("12.50", 12_500_000_000_000),
        ("0.000000000001", 1),
        (3, 3 * USD),
        (3.0, 3 * USD),
        ("1000000", MAX_USD * USD),
        ("007", 7 * USD),
    ],
)
def test_amounts_are_exact(text: object, units: int) -> None:
    assert Amount().parse(text, "amount") == units


@pytest.mark.parametrize(
    "wrong",
    ["0", "0.00", "-5", 0, -5, 1.5, True, None, "1e3", "1,50", " 1", "1.", ".5", "0.0000000000001", "1000000.01",
     "1000001", 10**30, "NaN", "١", "", "1\n", Decimal(1)],
)  # fmt: skip
def test_other_amounts_are_refused(wrong: object) -> None:
    with pytest.raises(InvalidParameter, match=r'must be a positive decimal string of USD such as "12\.50"') as refused:
        Amount().parse(wrong, "amount")
    assert refused.value.param == "amount"


@pytest.mark.parametrize("wrong", ["", "a" * 129, "a\nb", "\x1b[31m", " a", "a ", "\ud800", 5, None])
def test_names_are_printable(wrong: object) -> None:
    with pytest.raises(InvalidParameter):
        Printable().parse(wrong, "name")
