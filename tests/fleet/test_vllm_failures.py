"""A vLLM that can't be used: each way is a typed error that says what to do, at the start and later."""

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from oruel.errors import StartupError
from oruel.router.circuit_breaker import TOLERATED
from tests.engine.vllm.behind_oruel import changed_stub, stub_of
from tests.engine.vllm.stub_vllm import SCALE_OUT, serve_stub
from tests.fakes import until
from tests.fleet.front import Says, events_of, front

pytestmark = pytest.mark.anyio

KEY = "sk-7h1s-1s-n0b0dys-bus1n3ss"


def refusal(status: int, message: str) -> dict[str, Any]:
    return {"refuse": (status, msgspec.json.encode({"error": {"message": message}}).decode())}


UNUSABLE: list[tuple[dict[str, Any], int, str, str]] = [
    (refusal(403, SCALE_OUT), 502, "vllm_unusable", "Start it with --enable-scale-out"),
    ({"has_plugin": False}, 502, "vllm_unusable", r"Install it in vLLM's environment \(pip install ./vllm_plugin\)"),
    ({"version": "0.31.2"}, 502, "vllm_unusable", "is 0.31.2, .* Upgrade vLLM"),
    (
        {"names": ["other"]},
        502,
        "vllm_unusable",
        r"Correct model in the catalog\.( \(it serves no demo, only: other\))?$",
    ),
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


@pytest.mark.parametrize(
    ("change", "reply", "said"),
    [(change, {}, said) for change, _, _, said in UNUSABLE] + [({}, reply, said) for reply, said in CHANGED],
    ids=str,
)
async def test_a_server_whose_only_vllm_cannot_be_used_refuses_to_start_and_says_what_to_do(
    demo_folder: Path, change: dict[str, Any], reply: dict[str, Any], said: str
) -> None:
    async with serve_stub(changed_stub(demo_folder, reply, **change)) as stub:
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
        await oruel.until_down("vllm0")
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
        errors = await asyncio.gather(*(oruel.error() for _ in range(TOLERATED + 1)))
        assert {code for _, code, _ in errors} <= {"upstream_unavailable", "upstream_failed"}
        await oruel.until_down("vllm0")
        assert await oruel.error() == (
            502, "upstream_unavailable",
            "The vLLM behind this model can't be reached. Start it, or correct base_url in the catalog.",
        )  # fmt: skip
        async with serve_stub(stub):
            await oruel.until_up("vllm0")
            # The failures before don't count any more: all requests go there at once.
            assert set(await asyncio.gather(*(oruel.text() for _ in range(8)))) == {"Hello."}
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
        await oruel.until_down("vllm0")
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
            await oruel.until_down("vllm0")
            shown += [await oruel.error(), await oruel.health(), await oruel.metrics()]
        with pytest.raises(StartupError) as refused:
            async with front(demo_folder, stub, lines=lines):
                pass
    assert KEY[:12] not in f"{shown} {refused.value} {refused.value.__cause__} {capfd.readouterr()}"
