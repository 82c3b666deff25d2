"""An Oru'el that routes to three others and a llama-server, in separate processes, under load and with failures."""

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from bench.servers import Setting, llama_server
from tests.gguf_models import llama_model
from tests.server import RunningServer, oruel_serve, together
from tests.stub_server import HEAD, chunk, stub_server, usage

pytestmark = [pytest.mark.model, pytest.mark.anyio]

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
LOAD = 60
FIRST_TOKEN_SECONDS = 2


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Fleet:
    front: RunningServer
    others: list[RunningServer]


def catalog(others: list[str], llama: str) -> str:
    deployments = [
        f'[[models.deployments]]\nname = "o{number}"\nbase_url = "{url}"\nkind = "oruel"\nmodel = "llama-f16"\n'
        f"cost = {{ input = 0.1, output = 0.1 }}\nfirst_token_seconds = {FIRST_TOKEN_SECONDS}\n"
        for number, url in enumerate(others)
    ]
    deployments.append(
        f'[[models.deployments]]\nname = "llama"\nbase_url = "{llama}"\nkind = "llama-server"\nmodel = "x"\n'
        'cost = { input = 0.5, output = 0.5 }\naccepts = ["temperature", "seed"]\n'
    )
    return '[[models]]\nname = "m"\naliases = ["other"]\nmax_tokens = 6\n' + "\n".join(deployments)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    model = llama_model(folder)
    with ExitStack() as up:
        flags = ("--model", str(model), "--threads", "1", "--parallel", "4", "--ctx", "512")
        others = up.enter_context(together(*(oruel_serve(*flags) for _ in range(3))))
        llama = up.enter_context(llama_server(Setting(model, threads=1, parallel=4, context=512)))
        file = folder / "catalog.toml"
        file.write_text(catalog([one.base_url for one in others], f"http://127.0.0.1:{llama.port}/v1"))
        yield Fleet(up.enter_context(oruel_serve("--catalog", str(file))), others)


async def ask(client: openai.AsyncOpenAI, **fields: Any) -> tuple[str, str, str]:
    """Returns the text, the deployment and the differences."""
    raw = await client.chat.completions.with_raw_response.create(**{"model": "m", "messages": HELLO, **fields})
    answer = raw.parse()
    return (
        answer.choices[0].message.content or "",
        raw.headers["x-oruel-deployment"],
        raw.headers.get("x-oruel-differs", ""),
    )


def client_of(fleet: Fleet) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=fleet.front.base_url, api_key="x", max_retries=0, timeout=60)


async def test_requests_go_to_the_cheapest_deployment_and_report_it(fleet: Fleet) -> None:
    async with client_of(fleet) as client:
        raw = await client.chat.completions.with_raw_response.create(model="other", messages=HELLO, seed=5)
        answer = raw.parse()
        assert answer.model == "m"
        assert raw.headers["x-oruel-deployment"].startswith("o")
        assert raw.headers["x-request-id"]
        assert answer.usage
        assert answer.usage.completion_tokens <= 6, "the catalog's default"
        again = [await ask(client, seed=5) for _ in range(4)]
        assert {one for one, _, _ in again} == {answer.choices[0].message.content}


async def test_a_routing_instance_honours_the_parameters_of_the_contract(fleet: Fleet) -> None:
    async with client_of(fleet) as client:
        stream = await client.chat.completions.create(
            model="m", messages=HELLO, seed=1, stream=True, logprobs=True, top_logprobs=2, stop=["zq"], temperature=1.5,
            extra_body={"top_k": 20, "min_p": 0.01, "repetition_penalty": 1.3}, stream_options={"include_usage": True},
        )  # fmt: skip
        chunks = [one async for one in stream]
        assert chunks[-1].usage
        assert (
            sum(len(one.choices[0].logprobs.content or []) for one in chunks if one.choices and one.choices[0].logprobs)
            > 0
        )
        with pytest.raises(openai.BadRequestError) as refused:
            await ask(client, extra_body={"chat_template_kwargs": {"x": 1}})
        assert refused.value.param == "chat_template_kwargs.x"
        schema = {
            "type": "object",
            "properties": {"a": {"type": "boolean"}},
            "required": ["a"],
            "additionalProperties": False,
        }
        wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
        text, deployment, _ = await ask(
            client, messages=[{"role": "user", "content": "json"}], response_format=wanted, max_tokens=40
        )
        assert text in ('{"a": true}', '{"a": false}')
        assert deployment.startswith("o")


async def test_a_llama_server_answers_and_differences_are_reported(fleet: Fleet) -> None:
    async with client_of(fleet) as client:
        # Turbo first tries deployments that were never measured.
        answers = [await ask(client, temperature=1, seed=3, extra_body={"tier": "turbo"}) for _ in range(6)]
        served = {deployment: differs for _, deployment, differs in answers}
        assert served["llama"] == "seed"
        assert set(served) > {"llama"}, "after measurements, the fastest first token wins"
        assert {differs for deployment, differs in served.items() if deployment != "llama"} == {""}


async def test_health_and_metrics_cover_each_deployment(fleet: Fleet) -> None:
    async with httpx2.AsyncClient(base_url=fleet.front.url) as client:
        assert (await client.get("/health")).json()["deployments"].keys() == {"o0", "o1", "o2", "llama"}
        metrics = (await client.get("/metrics")).text
        assert 'oruel_deployment_up{deployment="llama"} 1.0' in metrics
        models = (await client.get("/v1/models")).json()["data"]
        assert [one["id"] for one in models] == ["m", "other"] or [one["id"] for one in models] == ["other", "m"]


async def test_no_waiting_request_is_lost_if_one_server_dies_and_one_hangs(fleet: Fleet) -> None:
    served: Counter[str] = Counter()
    cut: list[str] = []

    async def one(number: int) -> None:
        await asyncio.sleep(0.05 * number)
        # The prefixes differ, so that the requests don't all go to one deployment.
        asked: list[Any] = [{"role": "user", "content": f"{number} times hello"}]
        begun = ""
        try:
            stream = await client.chat.completions.create(
                model="m", messages=asked, temperature=1.0, max_tokens=24, stream=True
            )
            served[stream.response.headers["x-oruel-deployment"]] += 1
            async for event in stream:
                begun += event.choices[0].delta.content or "" if event.choices else ""
        except openai.APIError:
            if not begun:
                raise
            cut.append(begun)

    async with client_of(fleet) as client:
        load = [asyncio.create_task(one(number)) for number in range(LOAD)]
        await asyncio.sleep(0.8)
        os.kill(fleet.others[0].process.pid, signal.SIGKILL)
        await asyncio.sleep(0.4)
        os.kill(fleet.others[1].process.pid, signal.SIGSTOP)
        await asyncio.sleep(2 * FIRST_TOKEN_SECONDS)
        os.kill(fleet.others[1].process.pid, signal.SIGCONT)
        await asyncio.gather(*load)
    print(served, cut)
    assert sum(served.values()) == LOAD
    assert served["o2"] + served["llama"] >= LOAD / 2
    assert len(cut) < 10
    metrics = httpx2.get(f"{fleet.front.url}/metrics").text
    failed = dict(re.findall(r'oruel_deployment_failed\{deployment="(\w+)"\} (\S+)', metrics))
    assert float(failed["o0"]) > 0
    assert float(failed["o1"]) > 0, "its requests went elsewhere after first_token_seconds"


async def test_a_routing_loop_is_refused(fleet: Fleet) -> None:
    async with client_of(fleet) as client:
        assert await ask(client, extra_headers={"x-oruel-hops": "3"})
        with pytest.raises(openai.InternalServerError) as refused:
            await ask(client, extra_headers={"x-oruel-hops": "9"})
        assert refused.value.status_code == 508
        assert refused.value.code == "routed_in_circles"


def test_each_embedded_model_has_its_own_engine(tmp_path: Path) -> None:
    engines = {"one": "demo", "two": str(llama_model(tmp_path))}
    file = tmp_path / "catalog.toml"
    file.write_text(
        "".join(
            f'[[models]]\nname = "{name}"\n[[models.deployments]]\nname = "{name}-own"\nengine = "{engine}"\n'
            for name, engine in engines.items()
        )
    )
    with (
        oruel_serve("--catalog", str(file), "--threads", "1") as server,
        openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client,
    ):
        for name in engines:
            answer = client.chat.completions.create(model=name, messages=HELLO, max_tokens=4)
            assert answer.model == name
        steps = re.findall(
            r'oruel_engine_steps\{deployment="(\w+)-own"\} (\S+)', httpx2.get(f"{server.url}/metrics").text
        )
        assert {name for name, count in steps if float(count) > 0} == {"one", "two"}


async def test_a_stream_is_not_buffered(tmp_path: Path) -> None:
    async with stub_server([HEAD, chunk("first"), 1.5, chunk("second"), chunk(finish="stop"), usage()]) as stub:
        file = tmp_path / "catalog.toml"
        deployment = f'name = "s"\nbase_url = "{stub.base_url}"\nkind = "vllm"\nmodel = "x"\n'
        file.write_text(f'[[models]]\nname = "m"\n[[models.deployments]]\n{deployment}')
        with await asyncio.to_thread(lambda: ExitStack()) as up:
            front = await asyncio.to_thread(up.enter_context, oruel_serve("--catalog", str(file)))
            loop = asyncio.get_running_loop()
            async with openai.AsyncOpenAI(base_url=front.base_url, api_key="x", max_retries=0) as client:
                stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
                times = [loop.time() async for one in stream if one.choices and one.choices[0].delta.content]
            assert times[1] - times[0] > 1
            await asyncio.to_thread(up.close)
