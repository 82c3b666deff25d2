"""EngineProcess: the watchdog, and the pause before a restart."""

import asyncio
import errno
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oruel.engine.crash_history import HEALTHY_SECONDS, MAX_PAUSE_SECONDS, MIN_PAUSE_SECONDS, CrashHistory
from oruel.engine.process import EngineProcess
from oruel.engine.protocol import Start
from oruel.errors import EngineFailed, ModelLoadError
from tests.gguf_models import llama_model

WATCHDOG = 1.0


@given(crashes=st.integers(0, 100_000), unhealthy_seconds=st.floats(0, HEALTHY_SECONDS, exclude_max=True))
def test_the_pause_never_shrinks_between_crashes_and_is_bounded(crashes: int, unhealthy_seconds: float) -> None:
    before = CrashHistory(crashes, "signal 9")
    after = before.after("signal 11", unhealthy_seconds)
    assert MIN_PAUSE_SECONDS <= before.pause <= after.pause <= MAX_PAUSE_SECONDS


def test_the_pause_doubles() -> None:
    crashes = CrashHistory()
    pauses = []
    for _ in range(8):
        crashes = crashes.after("signal 9", 0)
        pauses.append(crashes.pause)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(crashes=st.integers(0, 100_000), healthy_seconds=st.floats(HEALTHY_SECONDS, 1e9))
def test_a_healthy_period_resets_the_pause(crashes: int, healthy_seconds: float) -> None:
    assert CrashHistory(crashes, "signal 9").after("signal 9", healthy_seconds).pause == MIN_PAUSE_SECONDS


def test_a_crash_history_reads_as_a_sentence() -> None:
    once = CrashHistory().after("exit status 1", 0)
    assert str(once) == "The engine failed once, last with exit status 1"
    assert str(once.after("signal 9", 0)) == "The engine failed 2 times in a row, last with signal 9"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_model(tmp_path_factory.mktemp("model"), half=False)


@asynccontextmanager
async def watched_engine(model: Path, deaths: list[EngineFailed]) -> AsyncIterator[EngineProcess]:
    start = Start(model=str(model), threads=1, context=512)
    process = EngineProcess(start, on_step=lambda _: None, on_death=deaths.append, watchdog_seconds=WATCHDOG)
    try:
        await process.start()
        yield process
    finally:
        await process.close()


async def wait_until_ok(process: EngineProcess) -> None:
    async with asyncio.timeout(30):
        while process.status != "ok":
            await asyncio.sleep(0.02)


@pytest.mark.model
def test_a_hung_engine_is_killed_and_restarted(model: Path) -> None:
    async def scenario() -> None:
        deaths: list[EngineFailed] = []
        async with watched_engine(model, deaths) as process:
            hung = process.pid
            assert hung is not None
            os.kill(hung, signal.SIGSTOP)
            async with asyncio.timeout(30):
                while not deaths:
                    await asyncio.sleep(0.02)
            assert f"no answer for {WATCHDOG:g} s" in process.detail
            await wait_until_ok(process)
            assert process.pid != hung
            assert (process.restarts, process.detail, len(deaths)) == (1, "", 1)

    asyncio.run(scenario())


@pytest.mark.model
def test_a_blocked_event_loop_does_not_trigger_the_watchdog(model: Path) -> None:
    async def scenario() -> None:
        deaths: list[EngineFailed] = []
        async with watched_engine(model, deaths) as process:
            for _ in range(2):
                time.sleep(1.5 * WATCHDOG)  # noqa: ASYNC251 - blocks the loop on purpose
                await asyncio.sleep(0.05)
            assert process.restarts == 0
            assert deaths == []

    asyncio.run(scenario())


@pytest.mark.model
def test_an_engine_killed_while_loading_is_restarted(model: Path) -> None:
    async def scenario() -> None:
        deaths: list[EngineFailed] = []
        async with watched_engine(model, deaths) as process:
            for attempt in (1, 2):
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                async with asyncio.timeout(30):
                    while not (process.restarts == attempt and process.status == "starting" and process.pid):
                        await asyncio.sleep(0.005)
            await wait_until_ok(process)
            assert process.restarts == 2
            assert len(deaths) == 1, "only the first process held requests"

    asyncio.run(scenario())


@pytest.mark.model
@pytest.mark.parametrize("step", ["os.pipe", "asyncio.create_subprocess_exec"])
def test_a_failure_to_spawn_the_process_is_reported(step: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def scenario() -> None:
        process = EngineProcess(Start(model=str(model)), on_step=lambda _: None, on_death=lambda _: None)
        monkeypatch.setattr(step, refuse)
        with pytest.raises(ModelLoadError, match="Too many open files"):
            await process.start()

    asyncio.run(scenario())


def test_close_fails_running_requests_and_leaves_no_process(model: Path) -> None:
    async def scenario() -> None:
        deaths: list[EngineFailed] = []
        async with watched_engine(model, deaths) as process:
            await process.close()
            assert process.pid is None
            assert len(deaths) == 1
            with pytest.raises(EngineFailed):
                process.send(Start(model="none"))

    asyncio.run(scenario())
