"""`python -m bench.key_checks`: how long the check of an API key takes, by why it fails. Each line has the median in
microseconds, and how far it is from that of unknown keys, with a 90% interval.
"""

import random
import tempfile
import time
from pathlib import Path

from sqlalchemy import update

from bench.pairs import ratio
from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret, new_key
from oruel.ledger.key_terms import KeyTerms
from oruel.ledger.keyring import Keyring
from oruel.ledger.tables import keys

KEYS, ROUNDS, CHECKS = 500, 41, 500
SECRET = KeySecret(b"the secret of this measurement alone")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Database.open(str(Path(folder) / "ledger.db"))
        kinds = make_keys(store)
        times = measure(Keyring(store, SECRET), kinds)
        store.close()
    for kind in kinds:
        found = ratio(times[kind], times["unknown"])
        middle = sorted(times[kind])[ROUNDS // 2]
        print(f"{kind:10} {middle:6.2f} µs {found.median - 1:+7.1%} ({found.low - 1:+.1%} to {found.high - 1:+.1%})")


def make_keys(store: Database) -> dict[str, list[str]]:
    administration = Administration(store, SECRET)
    administration.create_account("ada")
    made = {kind: [administration.create_key("ada", KeyTerms())[1] for _ in range(KEYS)] for kind in ENDINGS}
    with store.transaction() as connection:
        for kind, ending in ENDINGS.items():
            digests = [SECRET.digest(key) for key in made[kind]]
            if ending:
                connection.execute(update(keys).where(keys.c.digest.in_(digests)).values(ending))
    return made | {"unknown": [new_key() for _ in range(KEYS)], "malformed": ["x" * 54 for _ in range(KEYS)]}


ENDINGS: dict[str, dict[str, int]] = {"valid": {}, "revoked": {"revoked": 1}, "expired": {"expires": 1}}


def measure(keyring: Keyring, kinds: dict[str, list[str]]) -> dict[str, list[float]]:
    """Microseconds per check in each round. The kinds take turns, in an order that changes."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind in random.sample(list(kinds), len(kinds)):
            given = random.choices(kinds[kind], k=CHECKS)
            started = time.perf_counter()
            for key in given:
                keyring.find(key)
            times[kind].append((time.perf_counter() - started) / CHECKS * 1e6)
    return times


if __name__ == "__main__":
    main()
