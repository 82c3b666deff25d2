"""oruel verify: whether an endpoint honours its parameters, found out by measuring what it returns."""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oruel.cli.request_options import ApiKey, Model
from oruel.errors import VerifyFailed
from oruel.settings import Secret
from oruel.verify.profile import PROFILES, ProfileName

if TYPE_CHECKING:
    from oruel.verify.check import Check


def given(help: str, metavar: str, *names: str, minimum: int | None = None) -> Any:
    """An option that is unset by default."""
    return typer.Option(*names, help=help, metavar=metavar, min=minimum, show_default=False)


BaseUrl = Annotated[
    str | None, typer.Argument(metavar="BASE_URL", show_default=False, help="As in https://api.example.com/v1.")
]
Only = Annotated[list[str] | None, given("Checks or parameters, separated by commas.", "NAMES")]
Promises = Annotated[
    ProfileName, typer.Option(help="What the endpoint promises: Oru'el's contract, or OpenAI's documentation.")
]
Tokens = Annotated[int | None, given("End the run after so many tokens.", "TOKENS", minimum=1)]
Price = Annotated[float | None, given("To estimate the price.", "PRICE", "--price-per-million", minimum=0)]
Seed = Annotated[int | None, given("Repeats a run. [default: random]", "INTEGER")]
AnswerSeconds = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long one answer may take.")
]
JsonFile = Annotated[Path | None, given("Write everything as JSON.", "FILE", "--json")]
HtmlFile = Annotated[Path | None, given("Write a report to read.", "FILE", "--html")]
JunitFile = Annotated[Path | None, given("Write JUnit XML for CI.", "FILE", "--junit")]
Against = Annotated[
    str | None, given("Compare with this endpoint instead: the same model, the same defaults?", "BASE_URL")
]
AgainstModel = Annotated[str | None, given("Its model. [default: the first that it lists]", "TEXT")]
AgainstApiKey = Annotated[str | None, given("Its API key.", "TEXT")]
Explain = Annotated[str | None, given("Say what a check asks and how. all lists the checks.", "NAME")]


def verify(
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: ApiKey = None,
    against: Against = None,
    against_model: AgainstModel = None,
    against_api_key: AgainstApiKey = None,
    only: Only = None,
    profile: Promises = "oruel",
    budget: Tokens = None,
    price: Price = None,
    seed: Seed = None,
    answer_seconds: AnswerSeconds = 120,
    json_file: JsonFile = None,
    html_file: HtmlFile = None,
    junit_file: JunitFile = None,
    explain: Explain = None,
) -> None:
    """Check whether an endpoint honours its parameters.

    Works with any chat completions server: measures what it returns, and compares that with what the parameters
    promise. With --against, finds out whether two endpoints serve the same model. Exits with 0 if everything holds, 1
    for a fault or a difference, 2 if the endpoint couldn't be tested to the end, 3 for a refusal, and 4 if a check
    couldn't tell.
    """
    if explain is not None:
        explain_checks(explain)
        return
    from oruel.cli.verify_run import OtherEndpoint, Plan, carry_out

    other = None
    if against is not None:
        other = OtherEndpoint(against.rstrip("/"), against_model, checked_key(against_api_key, "--against-api-key"))
    plan = Plan(
        url=required_url(base_url),
        model=model,
        api_key=checked_key(api_key),
        checks=chosen_checks(only or [], profile, is_comparison=against is not None),
        profile=PROFILES[profile],
        seed=random.getrandbits(31) if seed is None else seed,
        budget=budget,
        price=price,
        answer_seconds=answer_seconds,
        files={"json": json_file, "html": html_file, "junit": junit_file},
        other=other,
    )
    raise typer.Exit(carry_out(plan))


def explain_checks(name: str) -> None:
    """Raises VerifyFailed if there is no such check."""
    from oruel.cli.verify_screen import show_checks
    from oruel.verify.against.comparison import CHECKS as COMPARISON
    from oruel.verify.checks import CHECKS
    from oruel.verify.selection import find_checks

    if name == "all":
        show_checks((*CHECKS, *COMPARISON))
    else:
        show_checks([one for one in COMPARISON if name in (one.name, one.parameter)] or find_checks(CHECKS, name))


def required_url(base_url: str | None) -> str:
    if base_url is None:
        raise VerifyFailed("Name the base URL of the endpoint, as in `oruel verify https://api.example.com/v1`.")
    return base_url.rstrip("/")


def checked_key(api_key: str | None, option: str = "--api-key") -> str | None:
    """Raises InvalidParameter for a key that a header can't carry."""
    if api_key is not None:
        Secret().parse(api_key, option)
    return api_key


def chosen_checks(names: list[str], profile: ProfileName, is_comparison: bool) -> "list[Check]":
    """Raises VerifyFailed for an unknown name, and if none is left."""
    from oruel.verify.against.comparison import CHECKS as COMPARISON
    from oruel.verify.checks import CHECKS
    from oruel.verify.selection import select_checks

    checks = [
        check
        for check in select_checks(COMPARISON if is_comparison else CHECKS, names)
        if PROFILES[profile].covers(check.parameter)
    ]
    if not checks:
        raise VerifyFailed(f"The profile {profile} promises none of these parameters.")
    return checks
