"""`python -m tests.openapi`: checks for a minute with schemathesis that the server conforms to its OpenAPI document."""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import load_secret
from oruel.ledger.key_terms import KeyTerms
from tests.server import oruel_serve

# positive_data_acceptance is left out: rules that a JSON Schema can't express, such as that the model exists, refuse
# bodies that are valid by the schema.
CONFIG = Path(__file__).with_name("schemathesis.toml")
ROOT = Path(__file__).parents[2]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.openapi", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to send requests (60)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="seed of the requests (random)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return check(folder, options.seconds, options.seed)


def check(folder: str, seconds: int, seed: int) -> int:
    """Returns the exit status. schemathesis writes a cache into the folder."""
    store = f"{folder}/ledger.db"
    key = make_key(store)
    with oruel_serve("--total-seconds", "20", environment={"ORUEL_STORE": store}) as server:
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG)),
            *("run", f"{server.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--max-time", str(seconds), "--seed", str(seed)),
            *("--suppress-health-check", "all", "--request-timeout", "30", "--warnings", "off", "--no-color"),
            *("--output-truncate", "true", "--header", f"Authorization: Bearer {key}"),
        ]
        hooks = os.environ | {"SCHEMATHESIS_HOOKS": "tests.openapi.hooks", "PYTHONPATH": str(ROOT)}
        limit = seconds * 4 + 120
        return subprocess.run(command, cwd=folder, env=hooks, check=False, timeout=limit).returncode


def make_key(store: str) -> str:
    """A key that may do everything."""
    database = Database.open(store)
    administration = Administration(database, load_secret(store, None))
    administration.create_account("openapi")
    _, key = administration.create_key("openapi", KeyTerms(scopes=("inference", "admin")))
    database.close()
    return key


if __name__ == "__main__":
    sys.exit(main())
