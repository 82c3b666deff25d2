"""oruel verify: whether an endpoint honours its parameters, found out by measuring what it returns."""

import random
from pathlib import Path
from typing import Annotated

import typer

from oruel.cli.request_options import ApiKey, Model
from oruel.config import Secret
from oruel.errors import VerifyFailed
from oruel.verify.profile import ProfileName


def verify(
    base_url: Annotated[
        str | None, typer.Argument(metavar="BASE_URL", show_default=False, help="As in https://api.example.com/v1.")
    ] = None,
    model: Model = None,
    api_key: ApiKey = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", show_default=False, help="Checks or parameters, separated by commas."),
    ] = None,
    profile: Annotated[
        ProfileName, typer.Option(help="What the endpoint promises: Oru'el's contract, or OpenAI's documentation.")
    ] = "oruel",
    budget: Annotated[
        int | None, typer.Option(metavar="TOKENS", min=1, show_default=False, help="End the run after so many tokens.")
    ] = None,
    price: Annotated[
        float | None,
        typer.Option("--price-per-million", metavar="PRICE", min=0, show_default=False, help="To estimate the cost."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="INTEGER", show_default=False, help="Repeats a run. [default: random]")
    ] = None,
    answer_seconds: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long one answer may take.")
    ] = 120,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", show_default=False, help="Write everything as JSON.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", show_default=False, help="Write a report to read.")
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", show_default=False, help="Write JUnit XML for CI.")
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Say what a check asks and how. all lists the checks."),
    ] = None,
) -> None:
    """Check whether an endpoint honours its parameters.

    Works with any chat completions server: measures what it returns, and compares that with what the parameters
    promise. Exits with 0 if every check was honoured, 1 for a fault, 2 if the endpoint couldn't be tested to the end,
    3 for a refusal, and 4 if a check couldn't tell.
    """
    from oruel.cli import verify_run
    from oruel.cli.verify_screen import show_checks
    from oruel.verify.checks import CHECKS
    from oruel.verify.profile import PROFILES
    from oruel.verify.selection import find_checks, select_checks

    if explain is not None:
        show_checks(CHECKS if explain == "all" else find_checks(CHECKS, explain))
        return
    if base_url is None:
        raise VerifyFailed("Name the base URL of the endpoint, as in `oruel verify https://api.example.com/v1`.")
    if api_key is not None:
        Secret().parse(api_key, "--api-key")
    promised = PROFILES[profile]
    checks = [check for check in select_checks(CHECKS, only or []) if promised.covers(check.parameter)]
    if not checks:
        raise VerifyFailed(f"The profile {profile} promises none of these parameters.")
    plan = verify_run.Plan(
        url=base_url.rstrip("/"),
        model=model,
        api_key=api_key,
        checks=checks,
        profile=promised,
        seed=random.getrandbits(31) if seed is None else seed,
        budget=budget,
        price=price,
        answer_seconds=answer_seconds,
        files={"json": json_file, "html": html_file, "junit": junit_file},
    )
    raise typer.Exit(verify_run.carry_out(plan))
