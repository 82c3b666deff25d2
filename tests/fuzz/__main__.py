"""`python -m tests.fuzz`: mutated requests over raw sockets against a real server, for some minutes.

No input may cause a 500 or 502, an answer that isn't OpenAI's shape, a wait of more than 10 seconds, a restart, a
traceback in the log, or memory that grows. Ends with one line of JSON; exit status 1 where something failed.
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

# Mutations may ask for long answers: these deadlines end them before they count as a hang. The window bounds what a
# prompt costs the others on a slow machine.
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
        description="Mutated requests over raw sockets against a real server.",
        epilog="Other flags go to oruel serve, such as --model PATH or --threads 1.",
        allow_abbrev=False,
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long to send requests (5)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the mutations (random)")
    parser.add_argument("--case", type=int, default=None, help="the number of one case to run alone (all)")
    given, flags = parser.parse_known_args()
    return Options(given.minutes, given.seed, given.case, tuple(flags))


if __name__ == "__main__":
    sys.exit(main())
