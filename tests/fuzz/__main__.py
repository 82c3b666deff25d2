"""`python -m tests.fuzz`: sends mutated requests over raw sockets to a real server.

No input may cause a 500 or 502, an answer that OpenAI's schema doesn't allow, a wait of more than 10 seconds, an engine
restart, a traceback in the log, or growing memory. Prints one line of JSON at the end. Exits with status 1 on failures.
"""

import argparse
import asyncio
import json
import secrets
import sys

import httpx2

from tests.fuzz.cases import Target
from tests.fuzz.fuzz import Fuzz, Options
from tests.server import RunningServer, oruel_serve
from tests.soak.workload import served_model

# Mutated requests may ask for long answers. These deadlines end them before they count as a hang. The small context
# window limits how long a prompt delays the others on a slow machine.
DEADLINES = ("--total-seconds", "5", "--first-token-seconds", "5", "--queue-seconds", "5")
FLAGS = (*DEADLINES, "--ctx", "1024", "--log-format", "json")


def main() -> int:
    options = parse_arguments()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    with oruel_serve(*FLAGS, *options.flags) as server:
        fuzz = asyncio.run(run(options, server))
    print(json.dumps(fuzz.summary()))
    return 1 if fuzz.failures else 0


async def run(options: Options, server: RunningServer) -> Fuzz:
    async with httpx2.AsyncClient(base_url=server.url) as client:
        model = await served_model(client)
    fuzz = Fuzz(options, server, Target(int(server.url.rsplit(":", 1)[1]), model.name, model.vocabulary))
    await fuzz.run()
    return fuzz


def parse_arguments() -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Sends mutated requests over raw sockets to a real server.",
        epilog="Other flags, such as --model PATH or --threads 1, are passed to oruel serve.",
        allow_abbrev=False,
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long to send requests (5)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="seed of the mutations (random)")
    parser.add_argument("--case", type=int, default=None, help="run only the case with this number (all)")
    given, flags = parser.parse_known_args()
    return Options(given.minutes, given.seed, given.case, tuple(flags))


if __name__ == "__main__":
    sys.exit(main())
