"""A catalog whose engine is a vLLM with the plugin, from its start to its answers, against a stub."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from oruel.engine.vllm.wire import RowRequest
from oruel.errors import StartupError
from oruel.hugging_face.folder import ModelFolder
from oruel.settings import HiddenText
from tests.engine.vllm.behind_oruel import catalog_text, deployment, stub_of
from tests.engine.vllm.stub_vllm import SCALE_OUT, StubVLLM, serve_stub
from tests.fakes import until
from tests.fleet.front import HELLO, events_of, front
from tests.server import oruel_serve

pytestmark = pytest.mark.anyio

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
JSON = [{"role": "user", "content": "Answer in JSON."}]
KEY = "sk-7h1s-1s-n0b0dys-bus1n3ss"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes follow each other without long pauses."""
    for pause in ("SHORTEST_PAUSE", "LONGEST_PAUSE"):
        monkeypatch.setattr(f"oruel.engine.vllm.probing.{pause}", 0.02)


@pytest.fixture(scope="session")
def says(demo_folder: Path) -> Callable[[str], Callable[[RowRequest], list[int]]]:
    """Makes a script of a stub: the tokens of a text, then the end of the answer."""
    vocabulary = ModelFolder(demo_folder).vocabulary

    def script_of(text: str) -> Callable[[RowRequest], list[int]]:
        assert vocabulary.eos is not None
        tokens = [*vocabulary.tokenize(text), vocabulary.eos]
        return lambda row: tokens

    return script_of


Says = Callable[[str], Callable[[RowRequest], list[int]]]


async def test_the_official_client_gets_the_text_of_the_tokens_that_vllm_sends(
    tmp_path: Path, demo_folder: Path, says: Says
) -> None:
    async with serve_stub(stub_of(demo_folder, script=says("Hello there."))) as stub:
        (tmp_path / "catalog.toml").write_text(catalog_text(deployment("far", stub.root, demo_folder)))
        started = oruel_serve("--catalog", str(tmp_path / "catalog.toml"))
        server = await asyncio.to_thread(started.__enter__)
        try:
            async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
                raw = await client.chat.completions.with_raw_response.create(model="m", messages=HELLO)
            answer = raw.parse()
            assert raw.headers["x-oruel-deployment"] == "far"
            assert answer.choices[0].message.content == "Hello there."
            assert answer.choices[0].finish_reason == "stop"
        finally:
            await asyncio.to_thread(started.__exit__, None, None, None)


def refusal(status: int, message: str) -> dict[str, Any]:
    return {"refuse": (status, msgspec.json.encode({"error": {"message": message}}).decode())}


UNUSABLE: list[tuple[dict[str, Any], int, str, str]] = [
    (refusal(403, SCALE_OUT), 502, "vllm_unusable", "Start it with --enable-scale-out"),
    ({"has_plugin": False}, 502, "vllm_unusable", r"Install it in vLLM's environment \(pip install ./vllm_plugin\)"),
    ({"version": "0.31.2"}, 502, "vllm_unusable", "is 0.31.2, .* Upgrade vLLM"),
    ({"names": ["other"]}, 502, "vllm_unusable", "serves no demo, only: other. Correct model in the catalog"),
    (refusal(401, "no such key"), 502, "vllm_unusable", "Check key_variable"),
    (refusal(503, "full"), 503, "overloaded", "Try again later"),
    (refusal(429, "full"), 503, "overloaded", "Try again later"),
    (refusal(500, "oh"), 502, "upstream_failed", "status 500"),
]
CHANGED: list[tuple[dict[str, Any], str]] = [
    ({"tokenizer": "0" * 32}, "another vocabulary .* Let tokenizer name the files of the model that vLLM serves"),
    ({"vocabulary_size": 300}, "logits for 300 tokens"),
    ({"version": 99}, "Install the plugin that came with this Oru'el"),
]


def broken(folder: Path, change: dict[str, Any], reply: dict[str, Any]) -> StubVLLM:
    stub = stub_of(folder, **change)
    stub.reply = msgspec.structs.replace(stub.reply, **reply)
    return stub


@pytest.mark.parametrize(
    ("change", "reply", "said"),
    [(change, {}, said) for change, _, _, said in UNUSABLE] + [({}, reply, said) for reply, said in CHANGED],
    ids=str,
)
async def test_a_server_whose_only_vllm_cannot_be_used_refuses_to_start_and_says_what_to_do(
    demo_folder: Path, change: dict[str, Any], reply: dict[str, Any], said: str
) -> None:
    async with serve_stub(broken(demo_folder, change, reply)) as stub:
        with pytest.raises(StartupError, match=f"vllm0 of m at {stub.root} can't start: .*{said}"):
            async with front(demo_folder, stub):
                pass
        assert stub.rows == []


async def test_a_server_whose_only_vllm_is_not_there_refuses_to_start_and_says_what_to_do(demo_folder: Path) -> None:
    async with serve_stub(stub_of(demo_folder)) as stub:
        pass
    with pytest.raises(StartupError, match=r"can't be reached\. Start it, or correct base_url"):
        async with front(demo_folder, stub):
            pass


async def test_a_context_beyond_vllm_s_window_is_refused_at_the_start_with_both_numbers(demo_folder: Path) -> None:
    async with serve_stub(stub_of(demo_folder)) as stub:
        with pytest.raises(StartupError, match=r"Set context to 4094, or start vLLM with --max-model-len 5002"):
            async with front(demo_folder, stub, model="context = 5000"):
                pass


@pytest.mark.parametrize(("change", "status", "code", "said"), UNUSABLE, ids=str)
async def test_a_vllm_that_can_no_longer_be_used_fails_requests_by_name_until_it_can(
    demo_folder: Path, says: Says, change: dict[str, Any], status: int, code: str, said: str
) -> None:
    async with (
        serve_stub(stub_of(demo_folder, script=says("Hello."))) as stub,
        front(demo_folder, stub) as oruel,
    ):
        assert await oruel.text() == "Hello."
        fine = {name: getattr(stub, name) for name in change}
        stub.raw = b""
        assert (await oruel.error())[:2] == (502, "upstream_failed"), "restarted while it answered"
        for name, value in change.items():
            setattr(stub, name, value)
        stub.raw = None
        await oruel.until_up("vllm0", False)
        rows = len(stub.rows)
        found = await oruel.error()
        assert found[:2] == (status, code)
        assert re.search(said, found[2])
        health = await oruel.health()
        assert (health["status"], health["deployments"]) == ("failed", {"vllm0": False})
        assert re.search(said, health["detail"])
        assert 'oruel_deployment_up{deployment="vllm0"} 0.0' in await oruel.metrics()
        assert len(stub.rows) == rows, "nothing is sent to a vLLM that can't be used"
        for name, value in fine.items():
            setattr(stub, name, value)
        await oruel.until_up("vllm0")
        assert await oruel.text() == "Hello."
        assert (await oruel.health())["status"] == "ok"


async def test_a_vllm_that_is_gone_comes_back_by_itself(demo_folder: Path, says: Says) -> None:
    async with serve_stub(stub_of(demo_folder, script=says("Hello."))) as stub:
        up = front(demo_folder, stub)
        oruel = await up.__aenter__()
    try:
        assert (await oruel.error())[1] in ("upstream_unavailable", "upstream_failed")
        await oruel.until_up("vllm0", False)
        assert await oruel.error() == (
            502, "upstream_unavailable",
            "The vLLM behind this model can't be reached. Start it, or correct base_url in the catalog.",
        )  # fmt: skip
        async with serve_stub(stub):
            await oruel.until_up("vllm0")
            assert await oruel.text() == "Hello."
    finally:
        await up.__aexit__(None, None, None)


async def test_one_of_several_that_is_away_stops_neither_the_start_nor_an_answer(demo_folder: Path, says: Says) -> None:
    async with serve_stub(stub_of(demo_folder, script=says("from away"))) as away:
        pass
    async with (
        serve_stub(stub_of(demo_folder, script=says("from here"))) as here,
        front(demo_folder, away, here) as oruel,
    ):
        assert (await oruel.health())["deployments"] == {"vllm0": False, "vllm1": True}
        assert (await oruel.health())["status"] == "ok"
        assert {await oruel.text(tier=tier) for tier in ("standard", "turbo")} == {"from here"}
        async with serve_stub(away):
            await oruel.until_up("vllm0")
            # A deployment without measurements is tried first.
            assert "from away" in {await oruel.text(tier="turbo") for _ in range(3)}


async def test_if_one_of_several_dies_its_waiting_requests_move_and_begun_ones_end_with_an_error(
    demo_folder: Path, says: Says
) -> None:
    script = says("one two three four five six seven eight nine ten")
    async with serve_stub(stub_of(demo_folder, script=script)) as other:
        async with serve_stub(stub_of(demo_folder, script=script)) as dying:
            up = front(demo_folder, dying, other)
            oruel = await up.__aenter__()
            dying.pace = other.pace = 0.05
            load = [
                asyncio.create_task(oruel.ask(messages=[{"role": "user", "content": f"{number}"}], stream=True))
                for number in range(10)
            ]
            await until(lambda: bool(dying.rows and other.rows))
        answers = await asyncio.gather(*load)
        texts = [events_of(answer.text) for answer in answers]
        failed = [events[-1]["error"]["code"] for events in texts if "error" in events[-1]]
        assert failed == ["upstream_failed"] * len(failed)
        assert len(failed) < 10
        await oruel.until_up("vllm0", False)
        other.pace = 0
        served = [await oruel.ask() for _ in range(4)]
        assert {answer.headers["x-oruel-deployment"] for answer in served} == {"vllm1"}
        await up.__aexit__(None, None, None)


@pytest.mark.parametrize("raw", [b'data: {"choices": [{"index": 0, "token', b"", b"data: 1\n\n"], ids=str)
async def test_half_an_event_is_a_typed_error(demo_folder: Path, raw: bytes) -> None:
    async with serve_stub(stub_of(demo_folder, raw=raw)) as stub, front(demo_folder, stub) as oruel:
        status, code, message = await oruel.error()
        assert (status, code) == (502, "upstream_failed")
        assert re.search(r"closed the connection|can't be read", message)


async def test_a_vllm_that_restarts_with_other_settings_during_a_stream_ends_it_and_answers_the_next(
    demo_folder: Path, says: Says
) -> None:
    async with serve_stub(stub_of(demo_folder, script=says("Hello."))) as stub, front(demo_folder, stub) as oruel:
        before = (await oruel.ask()).json()["system_fingerprint"]
        piece = {"choices": [{"index": 0, "token_ids": [65], "finish_reason": None}]}
        stub.raw = b"data: " + msgspec.json.encode(piece) + b"\n\n"
        last = events_of((await oruel.ask(stream=True)).text)[-1]
        assert last["error"]["code"] == "upstream_failed"
        stub.raw, stub.reply = None, msgspec.structs.replace(stub.reply, plugin="0.2.0", window=1000)
        answer = (await oruel.ask()).json()
        assert answer["choices"][0]["message"]["content"] == "Hello."
        assert answer["system_fingerprint"] != before
        long = [{"role": "user", "content": "x y " * 600}]
        assert (await oruel.error(messages=long))[1] == "context_length_exceeded", "the window is the new one"


async def test_the_fingerprint_tells_models_versions_and_batch_invariance_apart(demo_folder: Path, says: Says) -> None:
    async def fingerprint(**change: Any) -> str:
        stub = broken(demo_folder, {"script": says("Hello.")}, change)
        async with serve_stub(stub), front(demo_folder, stub) as oruel:
            found: str = (await oruel.ask()).json()["system_fingerprint"]
            return found

    changes: list[dict[str, Any]] = [
        {}, {"model": "other"}, {"vllm": "0.33.0"}, {"plugin": "0.2.0"}, {"batch_invariant": True}, {},
    ]  # fmt: skip
    found = [await fingerprint(**change) for change in changes]
    assert found[0] == found[-1]
    assert len(set(found)) == len(changes) - 1
    assert all(re.fullmatch("fp_[0-9a-f]{16}", one) for one in found)


async def test_the_model_s_card_has_vllm_s_window_and_the_tokenizer_s_vocabulary(demo_folder: Path) -> None:
    vocabulary = ModelFolder(demo_folder).vocabulary
    async with serve_stub(broken(demo_folder, {}, {"window": 1000})) as stub:
        async with front(demo_folder, stub) as oruel:
            (card,) = (await oruel.client.get("/v1/models")).json()["data"]
            assert (card["context_length"], card["vocabulary_size"]) == (998, vocabulary.size)
            assert 'oruel_engine_running{deployment="vllm0"} 0.0' in await oruel.metrics()
        async with front(demo_folder, stub, model="context = 500") as oruel:
            (card,) = (await oruel.client.get("/v1/models")).json()["data"]
            assert card["context_length"] == 500


async def test_what_vllm_cannot_do_is_refused_by_name(demo_folder: Path) -> None:
    async with serve_stub(broken(demo_folder, {}, {"max_logprobs": 5})) as stub, front(demo_folder, stub) as oruel:
        for fields, param in (
            ({"trace": {"top": 2}}, "trace"),
            ({"trace": {"top": 2, "prefix": [65]}}, "trace"),
            ({"logprobs": True, "top_logprobs": 5}, "top_logprobs"),
        ):
            answer = await oruel.ask(**fields)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        assert "at most 4" in answer.json()["error"]["message"]
        assert stub.rows == []
        assert (await oruel.ask(logprobs=True, top_logprobs=4)).status_code == 200


async def test_without_a_tokenizer_in_the_plugin_constraints_are_refused_by_name(demo_folder: Path, says: Says) -> None:
    stub = broken(demo_folder, {"script": says("Hello.")}, {"tokenizer": ""})
    async with serve_stub(stub), front(demo_folder, stub) as oruel:
        for fields, param in (
            ({"response_format": {"type": "json_object"}, "messages": JSON}, "response_format"),
            ({"tools": TOOLS}, "tools"),
        ):
            answer = await oruel.ask(**fields)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        assert stub.rows == []
        assert await oruel.text(tools=TOOLS, tool_choice="none") == "Hello."


async def test_a_deployment_that_reports_fewer_logprobs_leaves_the_request_to_another(demo_folder: Path) -> None:
    few = broken(demo_folder, {}, {"max_logprobs": 3})
    async with serve_stub(few), serve_stub(stub_of(demo_folder)) as many, front(demo_folder, few, many) as oruel:
        answers = [await oruel.ask(logprobs=True, top_logprobs=9, messages=HELLO * n) for n in (1, 2, 3, 4)]
        assert {answer.headers["x-oruel-deployment"] for answer in answers} == {"vllm1"}
        assert few.rows == []


async def test_tokens_beyond_the_tokenizer_have_no_text(demo_folder: Path, says: Says) -> None:
    size = ModelFolder(demo_folder).vocabulary.size
    hello = says("Hello.")
    stub = broken(demo_folder, {"script": lambda row: [size + 3, *hello(row)]}, {"vocabulary_size": size + 64})
    async with serve_stub(stub), front(demo_folder, stub) as oruel:
        answer = (await oruel.ask(logprobs=True, top_logprobs=2)).json()
        assert answer["choices"][0]["message"]["content"] == "Hello."
        assert answer["usage"]["completion_tokens"] == len(hello(stub_row(stub))) + 1
        refused = await oruel.ask(logit_bias={str(size + 3): 1})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "logit_bias")


def stub_row(stub: StubVLLM) -> RowRequest:
    return msgspec.convert(stub.rows[-1]["sampling_params"]["extra_args"]["oruel"], RowRequest, str_keys=True)


async def test_a_stop_string_ends_the_answer_in_vllm_at_once(demo_folder: Path, says: Says) -> None:
    tokens = says("one two three stop")(None)[:-1]  # type: ignore[arg-type]
    async with (
        serve_stub(stub_of(demo_folder, script=lambda row: tokens + [65] * 5000, pace=0.002)) as stub,
        front(demo_folder, stub) as oruel,
    ):
        answer = (await oruel.ask(stop=["stop"], max_tokens=4000)).json()
        assert answer["choices"][0]["message"]["content"] == "one two three "
        assert answer["usage"]["completion_tokens"] == len(tokens)
        assert [event.is_set() for event in stub.aborted.values()][-1]


async def test_a_client_that_leaves_ends_its_rows_in_vllm(demo_folder: Path) -> None:
    async with (
        serve_stub(stub_of(demo_folder, script=lambda row: [65] * 5000, pace=0.002)) as stub,
        front(demo_folder, stub) as oruel,
    ):
        asked = {"model": "m", "messages": HELLO, "max_tokens": 4000, "n": 3, "stream": True}
        async with oruel.client.stream("POST", "/v1/chat/completions", json=asked) as answer:
            await anext(answer.aiter_lines())
            assert 'oruel_engine_running{deployment="vllm0"} 3.0' in await oruel.metrics()
        await until(lambda: stub.left == 3)
        assert 'oruel_engine_running{deployment="vllm0"} 0.0' in await oruel.metrics()


async def test_a_deadline_ends_the_rows_in_vllm(demo_folder: Path) -> None:
    async with (
        serve_stub(stub_of(demo_folder, script=lambda row: [65] * 5000, pace=0.002)) as stub,
        front(demo_folder, stub, total_seconds=0.3) as oruel,
    ):
        assert (await oruel.error(max_tokens=4000))[:2] == (504, "deadline_exceeded")
        await until(lambda: stub.left == 1)


@pytest.mark.parametrize("shares", ["account", "all"])
async def test_accounts_have_prefix_caches_of_their_own(demo_folder: Path, tmp_path: Path, shares: str) -> None:
    settings: dict[str, Any] = {
        "store": HiddenText(str(tmp_path / "ledger.db")), "key_secret": HiddenText("x" * 32), "share_prefixes": shares,
    }  # fmt: skip
    async with (
        serve_stub(stub_of(demo_folder)) as stub,
        front(demo_folder, stub, **settings) as oruel,
    ):
        ada, bob = oruel.add_key("ada"), oruel.add_key("bob")
        for key in (ada, bob, ada):
            assert (await oruel.ask(key=key)).status_code == 200
        salts = [body.get("cache_salt") for body in stub.rows]
        assert salts[0] == salts[2]
        assert (len(set(salts)), None in salts) == ((2, False) if shares == "account" else (1, True))
        assert "ada" not in str(salts)


async def test_turbo_goes_first_in_vllm(demo_folder: Path) -> None:
    async with serve_stub(stub_of(demo_folder)) as stub, front(demo_folder, stub) as oruel:
        for tier in ("standard", "turbo"):
            answer = (await oruel.ask(tier=tier)).json()
            assert answer["tier"] == tier
        standard, turbo = (body["priority"] for body in stub.rows)
        assert turbo < standard


@pytest.mark.parametrize(
    "change",
    [
        refusal(401, f"Incorrect API key provided: {KEY}."),
        refusal(418, f"headers: authorization: Bearer {KEY}"),
        {"names": [KEY]},
        {"version": f"0.1 {KEY}"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_the_key_of_a_deployment_is_sent_to_vllm_and_shown_to_nobody(
    demo_folder: Path, says: Says, monkeypatch: pytest.MonkeyPatch, capfd: Any, change: dict[str, Any]
) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)
    lines = ['key_variable = "FAR_KEY"']
    async with serve_stub(stub_of(demo_folder, script=says("Hello."))) as stub:
        async with front(demo_folder, stub, lines=lines) as oruel:
            await oruel.text()
            assert stub.keys == {f"Bearer {KEY}"}
            for name, value in change.items():
                setattr(stub, name, value)
            stub.raw = b""
            shown: list[Any] = [await oruel.error()]
            await oruel.until_up("vllm0", False)
            shown += [await oruel.error(), await oruel.health(), await oruel.metrics()]
        with pytest.raises(StartupError) as refused:
            async with front(demo_folder, stub, lines=lines):
                pass
    assert KEY[:12] not in f"{shown} {refused.value} {refused.value.__cause__} {capfd.readouterr()}"
