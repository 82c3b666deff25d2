"""`python -m tests.openapi`: schemathesis against a real server, for a minute. The OpenAPI document has to be true."""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server import oruel_serve

# What a JSON Schema can't say is refused with 400 too: that a named function is declared, that the messages mention
# JSON, that the model exists. So valid bodies may be refused, and positive_data_acceptance shows nothing.
CONFIG = Path(__file__).with_name("schemathesis.toml")
ROOT = Path(__file__).parents[2]
KEY = "a-key-for-this-run-only"
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
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # schemathesis writes a cache into the folder where it runs.
    environment = {"ORUEL_API_KEY": KEY}
    with (
        tempfile.TemporaryDirectory() as folder,
        oruel_serve("--total-seconds", "20", environment=environment) as server,
    ):
        command = [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG)),
            *("run", f"{server.url}/openapi.json"),
            *("--checks", ",".join(CHECKS), "--max-time", str(options.seconds), "--seed", str(options.seed)),
            *("--suppress-health-check", "all", "--request-timeout", "30", "--warnings", "off", "--no-color"),
            *("--output-truncate", "true", "--header", f"Authorization: Bearer {KEY}"),
        ]
        hooks = os.environ | {"SCHEMATHESIS_HOOKS": "tests.openapi.hooks", "PYTHONPATH": str(ROOT)}
        limit = options.seconds * 4 + 120
        return subprocess.run(command, cwd=folder, env=hooks, check=False, timeout=limit).returncode


if __name__ == "__main__":
    sys.exit(main())
