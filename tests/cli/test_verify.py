"""`oruel verify`: the command, from its options to its exit status."""

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oruel.verify.check import Check
from oruel.verify.checks import CHECKS
from oruel.verify.exit_status import MEANINGS, ExitStatus
from oruel.verify.probe import Probe
from oruel.verify.profile import PROFILES
from oruel.verify.verdict import Verdict, cant_tell, differs, honoured, refused
from tests.cli.command_line import CommandLine
from tests.server import oruel_serve
from tests.verify.scripted_endpoint import ScriptedEndpoint, always, completion, respond, scripted_endpoint

KEY = "sk-test-0123456789"


def giving(name: str, verdict: Verdict) -> Check:
    async def run(probe: Probe) -> Verdict:
        await probe.chat()
        return verdict

    return Check(name, name.partition(".")[0], f"Is {name} honoured?", f"Looks at {name}.", 1000, run)


GOOD = giving("seed", honoured(figures={"repeats": 8}))
BAD = giving("seed.load", differs("3 of 24 answers differ", figures={"answers": 24}, p_value=1e-9))
NO = giving("top_k", refused("status 400"))
OPEN = giving("stop", cant_tell("the model never says it"))


@pytest.fixture
def endpoint() -> Iterator[ScriptedEndpoint]:
    with scripted_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def four_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GOOD, BAD, NO, OPEN)


def use(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    monkeypatch.setattr("oruel.verify.checks.CHECKS", checks)


def outcomes(oruel: CommandLine) -> dict[str, str]:
    report = json.loads((oruel.directory / "found.json").read_text())
    return {check["name"]: check["outcome"] for check in report["checks"]}


def test_the_table_shows_verdicts_with_evidence_then_score_and_cost(
    oruel: CommandLine, endpoint: ScriptedEndpoint
) -> None:
    done = oruel.call("verify", endpoint.url, "--seed", "5", COLUMNS="120")
    rows = [line.split("  ") for line in done.stdout.decode().splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["seed", "honoured", "repeats 8"] in cells
    assert ["seed.load", "differs: 3 of 24 answers differ", "answers 24, p ≤ 1e-09"] in cells
    assert ["top_k", "refused: status 400"] in cells
    assert ["stop", "can't tell: the model never says it"] in cells
    cost = f"{10 * len(endpoint.chats)} tokens in {len(endpoint.requests)} requests"
    assert cells[-1] == [f"1 of 3 checks honoured. {cost}. Seed 5."]
    assert done.returncode == 1


def test_a_pipe_gets_no_colours_and_no_progress_bar(oruel: CommandLine, endpoint: ScriptedEndpoint) -> None:
    done = oruel.run("verify", endpoint.url, "--only", "logprobs.sum")
    assert b"\x1b" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        ((GOOD,), ExitStatus.HOLDS),
        ((GOOD, BAD, NO), ExitStatus.FAULT),
        ((GOOD, NO, OPEN), ExitStatus.REFUSED),
        ((GOOD, OPEN), ExitStatus.UNDECIDED),
    ],
)
def test_each_severity_has_its_exit_status(
    oruel: CommandLine,
    endpoint: ScriptedEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    checks: tuple[Check, ...],
    status: ExitStatus,
) -> None:
    use(monkeypatch, *checks)
    assert oruel.call("verify", endpoint.url).returncode == status


def test_the_cost_is_estimated_before_the_first_check(oruel: CommandLine, endpoint: ScriptedEndpoint) -> None:
    done = oruel.call("verify", endpoint.url, "--price-per-million", "20", "--budget", "50000")
    line = done.stderr.decode().splitlines()[0]
    assert (
        line == f"4 checks of scripted at {endpoint.url}: about 4,500 tokens, 0.09 at 20 per million; at most 50,000."
    )


def test_the_model_is_the_first_that_the_endpoint_lists_unless_named(
    oruel: CommandLine, endpoint: ScriptedEndpoint
) -> None:
    oruel.call("verify", endpoint.url)
    assert {body["model"] for body in endpoint.chats} == {"scripted"}
    endpoint.requests.clear()
    oruel.call("verify", f"{endpoint.url}/", "--model", "other")
    assert {body["model"] for body in endpoint.chats} == {"other"}


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (["--only", "seed.load"], ["seed.load"]),
        (["--only", "stop,top-k"], ["top_k", "stop"]),
        (["--only", "stop", "--only", " seed.load"], ["seed.load", "stop"]),
    ],
)
def test_only_selects_checks_by_name(
    oruel: CommandLine, endpoint: ScriptedEndpoint, only: list[str], names: list[str]
) -> None:
    oruel.call("verify", endpoint.url, "--json", "found.json", *only)
    assert list(outcomes(oruel)) == names


def test_the_name_of_a_parameter_selects_all_of_its_checks(
    oruel: CommandLine, endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, giving("seed.a", honoured()), giving("seed.b", honoured()), OPEN)
    oruel.call("verify", endpoint.url, "--json", "found.json", "--only", "seed")
    assert list(outcomes(oruel)) == ["seed.a", "seed.b"]


@pytest.mark.parametrize("flag", ["--only", "--explain"])
def test_an_unknown_name_is_refused_with_the_nearest_ones(
    oruel: CommandLine, endpoint: ScriptedEndpoint, flag: str
) -> None:
    done = oruel.call("verify", endpoint.url, flag, "see")
    assert (done.returncode, done.stdout, endpoint.requests) == (2, b"", [])
    assert done.stderr == b'oruel: There is no check "see". Did you mean seed, seed.load?\n'
    assert b"Did you mean seed?" in oruel.call("verify", "--explain", "sede").stderr
    assert b"--explain all lists them." in oruel.call("verify", "--explain", "xyzzy").stderr


def test_the_profile_of_openai_leaves_out_what_openai_does_not_promise(
    oruel: CommandLine, endpoint: ScriptedEndpoint
) -> None:
    oruel.call("verify", endpoint.url, "--json", "found.json", "--profile", "openai")
    assert list(outcomes(oruel)) == ["seed", "seed.load", "stop"]
    done = oruel.call("verify", endpoint.url, "--profile", "openai", "--only", "top_k")
    assert (done.returncode, b"promises none of these parameters" in done.stderr) == (2, True)


def test_an_explanation_needs_no_endpoint(oruel: CommandLine) -> None:
    one = oruel.call("verify", "--explain", "top_k").stdout.decode()
    assert [line.strip() for line in one.splitlines()] == [
        "top_k",
        "Is top_k honoured?",
        "Looks at top_k.",
        "About 1,000 tokens.",
        "",
    ]
    everything = oruel.call("verify", "--explain", "all").stdout.decode()
    assert all(name in everything for name in ("seed.load", "Is stop honoured?"))


def test_every_check_explains_itself_by_its_name(oruel: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, *CHECKS)
    for check in CHECKS:
        shown = " ".join(oruel.call("verify", "--explain", check.name).stdout.decode().split())
        assert " ".join(f"{check.name} {check.question} {check.method}".split()) in shown


def test_a_command_without_a_base_url_says_how_to_name_one(oruel: CommandLine) -> None:
    done = oruel.call("verify")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"oruel: Name the base URL of the endpoint")


def test_ctrl_c_keeps_what_was_found(
    oruel: CommandLine, endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(probe: Probe) -> Verdict:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(3600)
        raise AssertionError("not reached")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        use(monkeypatch, GOOD, Check("stop", "stop", "?", "?", 1, interrupted), BAD)
        done = oruel.call(
            "verify", endpoint.url, "--json", "found.json", "--html", "found.html", "--junit", "found.xml"
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 130
    assert outcomes(oruel) == {"seed": "honoured"}
    assert b"repeats 8" in done.stdout
    assert b"oruel: The run ended early, after 1 of 3 checks: Ctrl-C\n" in done.stderr
    assert "after 1 of 3 checks: Ctrl-C" in (oruel.directory / "found.html").read_text()
    ElementTree.parse(oruel.directory / "found.xml")


def test_a_failing_run_writes_its_reports_too(oruel: CommandLine) -> None:
    with scripted_endpoint(lambda _: respond(500, "out of order")) as endpoint:
        done = oruel.call("verify", endpoint.url, "--model", "m", "--junit", "found.xml", "--html", "found.html")
    assert (done.returncode, done.stdout) == (2, b"")
    assert ElementTree.parse(oruel.directory / "found.xml").getroot().get("errors") == "1"
    assert "out of order" in (oruel.directory / "found.html").read_text()


@pytest.mark.parametrize("path", ["missing/found.json", ".", "file/found.json"])
def test_a_report_that_cannot_be_written_is_refused_before_the_first_request(
    oruel: CommandLine, endpoint: ScriptedEndpoint, path: str
) -> None:
    (oruel.directory / "file").touch()
    done = oruel.call("verify", endpoint.url, "--json", path)
    assert (done.returncode, endpoint.requests) == (2, [])
    assert done.stderr.decode() == f"oruel: The report {Path(path)} can't be written.\n"


def test_the_key_is_sent_and_shown_nowhere(oruel: CommandLine) -> None:
    """Not even if the endpoint repeats it in each answer."""
    with scripted_endpoint(always(200, completion(f"Your key is {KEY}"), server=KEY)) as endpoint:
        reports = ("--json", "found.json", "--html", "found.html", "--junit", "found.xml")
        done = oruel.call("verify", endpoint.url, *reports, ORUEL_API_KEY=KEY)
    assert {request.headers["authorization"] for request in endpoint.requests} == {f"Bearer {KEY}"}
    written = [path.read_bytes() for path in oruel.directory.glob("found.*")]
    assert len(written) == 3
    assert all(KEY.encode() not in text for text in [done.stdout, done.stderr, *written])


def test_the_key_is_not_in_the_line_that_says_it_is_wrong(oruel: CommandLine) -> None:
    refusal = {"error": {"message": f"Incorrect API key provided: {KEY}."}}
    with scripted_endpoint(lambda _: respond(401, refusal)) as endpoint:
        done = oruel.call("verify", endpoint.url, "--api-key", KEY)
    assert (done.returncode, KEY.encode() in done.stderr) == (2, False)
    assert b"Incorrect API key provided: $API_KEY." in done.stderr


def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(
    oruel: CommandLine, endpoint: ScriptedEndpoint
) -> None:
    done = oruel.call("verify", endpoint.url, "--api-key", "se cret")
    assert (done.returncode, endpoint.requests) == (2, [])
    assert b"se cret" not in done.stderr


def test_control_characters_of_the_endpoint_do_not_reach_the_terminal(
    oruel: CommandLine, endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, giving("seed", differs("\x1b[31mred [bold]markup[/]", figures={"text": "\x1b]0;title\x07"})))
    shown = oruel.call("verify", endpoint.url).stdout.decode()
    assert "\x1b" not in shown
    assert "red [bold]markup[/]" in shown


def test_the_profiles_and_statuses_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    for status in ExitStatus:
        assert f"| {int(status)} | {MEANINGS[status]} |" in page
    assert all(f"`{name}`" in page for name in PROFILES)


@pytest.mark.model
def test_the_demo_server_honours_top_k(oruel: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, *CHECKS)
    with oruel_serve() as server:
        done = oruel.call(
            "verify", server.base_url, "--only", "top_k,stream.done", "--seed", "1", "--html", "found.html"
        )
    assert done.returncode == 0, done.stdout.decode()
    assert "Everything claimed holds" in (oruel.directory / "found.html").read_text()


def test_against_compares_two_endpoints_with_a_key_each(oruel: CommandLine, endpoint: ScriptedEndpoint) -> None:
    with scripted_endpoint(always(200, completion("Ho"))) as other:
        options = ["--against", other.url, "--against-api-key", "other-key", "--json", "found.json"]
        done = oruel.call("verify", endpoint.url, *options, "--api-key", KEY, COLUMNS="120")
    assert done.returncode == ExitStatus.FAULT
    assert outcomes(oruel) == {"same.model": "differs", "same.defaults": "can't tell"}
    assert {request.headers["authorization"] for request in endpoint.requests} == {f"Bearer {KEY}"}
    assert {request.headers["authorization"] for request in other.requests} == {"Bearer other-key"}


def test_an_unreachable_other_endpoint_is_named(oruel: CommandLine, endpoint: ScriptedEndpoint) -> None:
    done = oruel.call("verify", endpoint.url, "--against", "http://127.0.0.1:9/v1")
    assert done.returncode == ExitStatus.INCOMPLETE
    assert b"http://127.0.0.1:9/v1/models can't be reached" in done.stderr
