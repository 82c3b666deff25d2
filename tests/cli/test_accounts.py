"""`oruel accounts` and `oruel keys`: what they print, what they refuse, and what scripts can read."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.command_line import CommandLine, Completed

KEY = re.compile(rb"oruel_[0-9a-f]{48}\n")
STORE = "ledger.db"


@pytest.fixture
def store(oruel: CommandLine) -> CommandLine:
    """A store with the account team."""
    done = call(oruel, "accounts", "create", "team", "--credit", "12.50")
    assert re.fullmatch(rb"Created the account team \(acct_\w+\)\. Its balance is 12\.5 USD\.\n", done.stdout)
    return oruel


def call(oruel: CommandLine, *arguments: str) -> Completed:
    done = oruel.call(*arguments, "--store", STORE, COLUMNS="300")
    assert done.stderr.count(b"Traceback") == 0
    return done


def rows(done: Completed) -> list[str]:
    return [" ".join(line.split()) for line in done.stdout.decode().splitlines()]


def test_accounts_are_listed_with_balances(store: CommandLine) -> None:
    assert call(store, "accounts", "create", "Größe").returncode == 0
    done = call(store, "accounts", "list")
    assert [re.sub(r"acct_\w+|\d{4}-\d\d-\d\d", "*", row) for row in rows(done)][-3:-1] == [
        "team * 12.5 0 *",
        "Größe * not prepaid 0 *",
    ]


def test_a_credit_is_exact(store: CommandLine) -> None:
    done = call(store, "accounts", "credit", "team", "0.000000000001", "--note", "invoice 7")
    assert done.stdout == b"Credited the account team. Its balance is 12.500000000001 USD.\n"


def test_a_script_can_capture_the_key(store: CommandLine) -> None:
    done = call(store, "keys", "create", "team", "--name", "ci", "--day-limit", "5", "--tiers", "turbo")
    assert KEY.fullmatch(done.stdout)
    assert b"allows inference; tiers turbo; 5 USD a day. Copy the key now" in done.stderr


def test_keys_are_listed_by_their_last_digits_only(store: CommandLine) -> None:
    key = call(store, "keys", "create", "team", "--models", "a", "--models", "b c").stdout.strip()
    call(store, "keys", "create", "team", "--expires", "2999-01-01")
    for flags in ([], ["--json"], ["--account", "team"]):
        done = call(store, "keys", "list", *flags)
        assert done.returncode == 0
        assert key[-4:] in done.stdout
        assert key[:-4] not in done.stdout + done.stderr
        assert not re.search(rb"[0-9a-f]{64}", done.stdout)
    shown = " ".join(rows(call(store, "keys", "list")))
    assert "models a, b c" in shown
    assert "until 2999-01-01T00:00:00Z" in shown


def test_a_revoked_key_stays_listed_and_revoking_it_again_says_when(store: CommandLine) -> None:
    call(store, "keys", "create", "team")
    [key] = json.loads(call(store, "keys", "list", "--json").stdout)["data"]
    assert call(store, "keys", "revoke", key["id"]).stdout == f"Revoked {key['id']} of the account team.\n".encode()
    again = call(store, "keys", "revoke", key["id"])
    assert again.returncode == 0
    assert re.search(rb"was revoked at 20\S+Z already; nothing changed\.\n", again.stdout)
    [listed] = json.loads(call(store, "keys", "list", "--json").stdout)["data"]
    assert (listed["status"], key["status"]) == ("revoked", "active")


def test_every_command_prints_json_on_request(store: CommandLine) -> None:
    account = json.loads(call(store, "accounts", "credit", "team", "1", "--json").stdout)
    assert (account["object"], account["balance"], account["reserved"]) == ("account", "13.5", "0")
    assert json.loads(call(store, "accounts", "create", "b", "--json").stdout)["balance"] is None
    assert [one["name"] for one in json.loads(call(store, "accounts", "list", "--json").stdout)["data"]] == [
        "team",
        "b",
    ]
    created = json.loads(call(store, "keys", "create", "team", "--scopes", "admin", "--json").stdout)
    assert created["details"]["scopes"] == ["admin"]
    revoked = json.loads(call(store, "keys", "revoke", created["details"]["id"], "--json").stdout)
    assert (revoked["was_revoked"], revoked["details"]["status"]) == (False, "revoked")


REFUSED = [
    (["accounts", "create", "team"], 'There is an account named "team" already.'),
    (["accounts", "create", ""], "NAME must be 1 to 128 printable characters"),
    (["accounts", "create", "x", "--credit", "-1"], "--credit must be a positive decimal string of USD"),
    (["accounts", "credit", "team", "-5"], "AMOUNT must be a positive decimal string of USD"),
    (["accounts", "credit", "team", "0"], "AMOUNT must be a positive decimal string of USD"),
    (["accounts", "credit", "team", "1000000"], "the balance would be 1000012.5 USD, but at most 1000000 USD"),
    (["accounts", "credit", "nobody", "5"], 'There is no account "nobody".'),
    (["keys", "create", "nobody"], 'There is no account "nobody".'),
    (["keys", "create", "team", "--requests-per-minute", "0"], "--requests-per-minute must be an integer from 1 to"),
    (["keys", "create", "team", "--month-limit", "0"], "--month-limit must be a positive decimal string of USD"),
    (["keys", "create", "team", "--expires", "2001-09-09"], "expires is 2001-09-09T00:00:00Z, which has passed."),
    (["keys", "create", "team", "--tiers", "tubro"], 'Did you mean "turbo"?'),
    (["keys", "revoke", "key_0"], 'There is no key with the id "key_0".'),
    (["keys", "list", "--account", "nobody"], 'There is no account "nobody".'),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=lambda value: " ".join(value)[:40])
def test_a_refusal_is_one_line_and_changes_nothing(arguments: list[str], words: str, store: CommandLine) -> None:
    def state() -> list[Completed]:
        return [call(store, "accounts", "list", "--json"), call(store, "keys", "list", "--json")]

    before = state()
    refused = call(store, *arguments)
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert refused.stderr.startswith(b"oruel: ")
    assert refused.stderr.count(b"\n") == 1
    assert words in refused.stderr.decode()
    assert state() == before


def test_a_store_of_another_program_is_one_line_and_stays_as_it_is(oruel: CommandLine, tmp_path: Path) -> None:
    store = tmp_path / STORE
    store.write_bytes(b"something else" * 100)
    refused = call(oruel, "accounts", "list")
    assert refused.returncode == 2
    assert refused.stderr.startswith(b"oruel: ")
    assert refused.stderr.count(b"\n") == 1
    assert store.read_bytes() == b"something else" * 100


def test_a_store_that_cannot_be_read_is_one_line(oruel: CommandLine) -> None:
    for location in ("postgresql://127.0.0.1:1/none?connect_timeout=1", "mysql://x", "/proc/nowhere/ledger.db"):
        refused = oruel.call("accounts", "list", "--store", location, "--key-secret", "s" * 32)
        assert refused.returncode == 2
        assert refused.stderr.startswith(b"oruel: ")
        assert refused.stderr.count(b"\n") == 1


@pytest.mark.parametrize("command", [["accounts"], ["keys"], ["accounts", "credit"], ["keys", "create"], ["usage"]])
def test_help_says_what_each_option_means(command: list[str], oruel: CommandLine) -> None:
    done = oruel.call(*command, "--help")
    assert done.returncode == 0
    assert b"Traceback" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.decode().splitlines())) <= 80
