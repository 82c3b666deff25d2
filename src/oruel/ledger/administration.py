"""What an operator does with accounts and keys, from the command line or the API. Each method is one transaction; all
raise StoreUnavailable.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from oruel.errors import StoreUnavailable
from oruel.ledger import accounts, keys, usage
from oruel.ledger.accounts import Account
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.keys import StoredKey
from oruel.ledger.usage import UsageQuery, UsageRow


class Administration:
    """Its methods block. `refresh` makes this process's own keyring read the keys again, after a change."""

    def __init__(self, database: Database, secret: KeySecret, refresh: Callable[[], object] = lambda: None) -> None:
        self._database = database
        self._secret = secret
        self._refresh = refresh

    def now(self) -> int:
        with self._database.reading() as connection:
            return self._database.now(connection)

    def create_account(self, name: str, credit: int | None = None) -> Account:
        with self._database.transaction() as connection:
            account = accounts.create_account(connection, name, credit, self._database.now(connection))
        self._read_keys_again()
        return account

    def credit_account(self, account: str, amount: int, note: str = "") -> Account:
        with self._database.transaction() as connection:
            credited = accounts.credit_account(connection, account, amount, note, self._database.now(connection))
        self._read_keys_again()
        return credited

    def list_accounts(self) -> Sequence[Account]:
        with self._database.reading() as connection:
            return accounts.list_accounts(connection)

    def create_key(self, account: str, terms: KeyTerms) -> tuple[StoredKey, str]:
        with self._database.transaction() as connection:
            created = keys.create_key(connection, self._secret, account, terms, self._database.now(connection))
        self._read_keys_again()
        return created

    def list_keys(self, account: str | None = None) -> Sequence[StoredKey]:
        with self._database.reading() as connection:
            return keys.list_keys(connection, account)

    def revoke_key(self, id: str) -> tuple[StoredKey, bool]:
        with self._database.transaction() as connection:
            revoked = keys.revoke_key(connection, id, self._database.now(connection))
        self._read_keys_again()
        return revoked

    def report_usage(self, query: UsageQuery) -> Sequence[UsageRow]:
        """The query's account may be an id or a name."""
        with self._database.reading() as connection:
            if query.account is not None:
                query = replace(query, account=accounts.find_account(connection, query.account).id)
            return usage.report_usage(connection, query)

    def _read_keys_again(self) -> None:
        # The change is committed. If the store fails now, the keyring reads it as soon as it can.
        with suppress(StoreUnavailable):
            self._refresh()
