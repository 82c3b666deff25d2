"""The verdicts measured on real servers fit what backends/abilities.py says of them, and what docs/verify.md shows."""

from oruel.backends.abilities import DIFFERS, REFUSED
from oruel.verify.checks import CHECKS
from tests.verify.real_servers import PAGE, TABLES, measured, tables

PARAMETER_OF = {check.name: check.parameter for check in CHECKS}
# Differences that no black box shows, or that these checks don't look for.
UNSEEN = {
    "seed": "the same seed gives the same answer, though not that of Oru'el's own engine",
    "logprobs": "entries that share a character's bytes still join to the text",
    "logit_bias": "the checks send only ids within the vocabulary",
    "tools": "the arguments matched their schemas wherever there was a call",
}


def faulty_parameters(server: str) -> set[str]:
    verdicts = measured()[server]["oruel"]["verdicts"]
    return {PARAMETER_OF[name] for name, words in verdicts.items() if not words.startswith(("honoured", "can't tell"))}


def test_in_front_of_llama_server_only_the_parameters_differ_that_are_listed() -> None:
    listed = {*DIFFERS["llama-server"], *REFUSED["llama-server"]}
    assert faulty_parameters("oruel-before-llama-server") <= listed


def test_each_listed_difference_of_llama_server_was_measured_or_can_t_be_seen() -> None:
    found = faulty_parameters("oruel-before-llama-server")
    assert found.isdisjoint(UNSEEN)
    assert found | UNSEEN.keys() == DIFFERS["llama-server"].keys()


def test_oru_el_itself_honours_every_check_of_its_contract() -> None:
    assert set(measured()["oruel"]["oruel"]["verdicts"].values()) == {"honoured"}


def test_every_measured_check_still_exists() -> None:
    names = {name for runs in measured().values() for run in runs.values() for name in run["verdicts"]}
    assert names <= PARAMETER_OF.keys()


def test_the_tables_of_real_servers_match_the_data() -> None:
    assert TABLES.findall(PAGE.read_text()) == [tables()], "rewrite them with python -m tests.verify.real_servers"
