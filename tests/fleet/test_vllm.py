"""A catalog whose engine is a vLLM with the plugin: what its answers are, against a stub."""

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest

from oruel.engine.vllm.wire import RowRequest
from oruel.errors import StartupError
from oruel.hugging_face.folder import ModelFolder
from oruel.settings import HiddenText
from tests.engine.vllm.behind_oruel import catalog_text, changed_stub, deployment, stub_of
from tests.engine.vllm.stub_vllm import StubVLLM, serve_stub
from tests.fakes import until
from tests.fleet.front import HELLO, Says, front
from tests.server import oruel_serve

pytestmark = pytest.mark.anyio

JSON = [{"role": "user", "content": "Answer in JSON."}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


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


async def test_a_tokenizer_that_is_not_there_stops_the_start_and_names_its_folder(
    tmp_path: Path, demo_folder: Path
) -> None:
    async with serve_stub(stub_of(demo_folder)) as stub:
        with pytest.raises(
            StartupError, match=f"vllm0 of m at {stub.root} can't start: There is no folder {tmp_path}/x"
        ):
            async with front(tmp_path / "x", stub):
                pass


async def test_the_fingerprint_names_versions_and_batch_invariance_and_tells_models_apart(
    demo_folder: Path, says: Says
) -> None:
    async def fingerprint(**change: Any) -> str:
        stub = changed_stub(demo_folder, change, script=says("Hello."))
        async with serve_stub(stub), front(demo_folder, stub) as oruel:
            found: str = (await oruel.ask()).json()["system_fingerprint"]
            return found

    changes: list[dict[str, Any]] = [
        {}, {"model": "other"}, {"vllm": "0.33.0"}, {"plugin": "0.2.0"}, {"batch_invariant": True}, {},
    ]  # fmt: skip
    found = [await fingerprint(**change) for change in changes]
    assert found[0] == found[-1]
    assert len(set(found)) == len(changes) - 1
    assert re.fullmatch(r"fp_[0-9a-f]{16}_vllm-0\.32\.0_plugin-0\.1\.0_batch-variant", found[0])
    assert [found[2][19:], found[3][19:], found[4][19:]] == [
        "_vllm-0.33.0_plugin-0.1.0_batch-variant",
        "_vllm-0.32.0_plugin-0.2.0_batch-variant",
        "_vllm-0.32.0_plugin-0.1.0_batch-invariant",
    ]


async def test_the_model_s_card_has_vllm_s_window_and_the_tokenizer_s_vocabulary(demo_folder: Path) -> None:
    vocabulary = ModelFolder(demo_folder).vocabulary
    async with serve_stub(changed_stub(demo_folder, {"window": 1000})) as stub:
        async with front(demo_folder, stub) as oruel:
            (card,) = (await oruel.client.get("/v1/models")).json()["data"]
            assert (card["context_length"], card["vocabulary_size"]) == (998, vocabulary.size)
            assert 'oruel_engine_running{deployment="vllm0"} 0.0' in await oruel.metrics()
        async with front(demo_folder, stub, model="context = 500") as oruel:
            (card,) = (await oruel.client.get("/v1/models")).json()["data"]
            assert card["context_length"] == 500


async def test_the_card_follows_the_window_of_a_vllm_that_comes_late(demo_folder: Path) -> None:
    async with serve_stub(changed_stub(demo_folder, {"window": 1000})) as late:
        pass
    async with serve_stub(changed_stub(demo_folder, {"window": 1500})) as here, front(demo_folder, late, here) as oruel:
        (card,) = (await oruel.client.get("/v1/models")).json()["data"]
        assert card["context_length"] == 1498
        async with serve_stub(late):
            await oruel.until_up("vllm0")
            (card,) = (await oruel.client.get("/v1/models")).json()["data"]
            assert card["context_length"] == 998


async def test_what_vllm_cannot_do_is_refused_by_name(demo_folder: Path) -> None:
    async with serve_stub(changed_stub(demo_folder, {"max_logprobs": 5})) as stub, front(demo_folder, stub) as oruel:
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
    stub = changed_stub(demo_folder, {"tokenizer": ""}, script=says("Hello."))
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
    few = changed_stub(demo_folder, {"max_logprobs": 3})
    async with serve_stub(few), serve_stub(stub_of(demo_folder)) as many, front(demo_folder, few, many) as oruel:
        answers = [await oruel.ask(logprobs=True, top_logprobs=9, messages=HELLO * n) for n in (1, 2, 3, 4)]
        assert {answer.headers["x-oruel-deployment"] for answer in answers} == {"vllm1"}
        assert few.rows == []


async def test_tokens_beyond_the_tokenizer_have_no_text(demo_folder: Path, says: Says) -> None:
    size = ModelFolder(demo_folder).vocabulary.size
    hello = says("Hello.")
    stub = changed_stub(demo_folder, {"vocabulary_size": size + 64}, script=lambda row: [size + 3, *hello(row)])
    async with serve_stub(stub), front(demo_folder, stub) as oruel:
        answer = (await oruel.ask(logprobs=True, top_logprobs=2)).json()
        assert answer["choices"][0]["message"]["content"] == "Hello."
        assert answer["usage"]["completion_tokens"] == len(hello(stub_row(stub))) + 1
        refused = await oruel.ask(logit_bias={str(size + 3): 1})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "logit_bias")


def stub_row(stub: StubVLLM) -> RowRequest:
    return msgspec.convert(stub.rows[-1]["sampling_params"]["extra_args"]["oruel"], RowRequest, str_keys=True)


async def test_a_stop_string_ends_the_answer_in_vllm_at_once(demo_folder: Path, says: Says) -> None:
    tokens = says("one two three stop")(None)[:-1]  # type: ignore[arg-type]  # the script ignores the row
    async with (
        serve_stub(stub_of(demo_folder, script=lambda row: [*tokens, *[65] * 5000], pace=0.002)) as stub,
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
