"""`python -m tests.soak`: random requests, cancellations and kills against a real server, for some minutes.

Prints one line of JSON at the end. Exits with status 1 if a check failed.
"""

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
from contextlib import suppress

from tests.server import RunningServer, oruel_serve
from tests.soak.exchange import open_client
from tests.soak.log_lines import check_log
from tests.soak.plan import QUEUE_SECONDS
from tests.soak.processes import is_visible
from tests.soak.soak import Options, Soak
from tests.soak.workload import served_model
from tests.soak.wrong import CheckFailed, require

END_SECONDS = 30

# A queue that is short enough to fill up at times, with the deadline that plans assume.
FLAGS = ("--max-waiting", "48", "--queue-seconds", f"{QUEUE_SECONDS:g}")


def main() -> int:
    options = parse_arguments()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    if not is_visible():
        print("Without Linux's /proc, kills, stops and memory checks are skipped.")
    with oruel_serve(*FLAGS, *options.flags) as server:
        soak = asyncio.run(run(options, server))
        server.process.terminate()
        # If it takes longer, it is killed, and its exit status shows that.
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(END_SECONDS)
    try:
        require(server.process.returncode == 0, f"the server ended with status {server.process.returncode}")
        check_log(server.lines, soak.tally.answered)
    except CheckFailed as error:
        soak.tally.fail(str(error))
    print(json.dumps(soak.summary()))
    return 1 if soak.tally.failures else 0


async def run(options: Options, server: RunningServer) -> Soak:
    async with open_client(server.url) as client:
        soak = Soak(options, client, await served_model(client), server.process.pid)
        await soak.run()
    return soak


def parse_arguments() -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Random requests, cancellations and kills against a real server.",
        epilog="Other flags, such as --model PATH or --threads 1, are passed to oruel serve.",
        allow_abbrev=False,
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long to send requests (20)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="seed of the random choices (random)"
    )
    given, flags = parser.parse_known_args()
    return Options(given.minutes, given.seed, tuple(flags))


if __name__ == "__main__":
    sys.exit(main())
