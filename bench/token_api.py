"""`python -m bench.token_api`: the CPU time that Oru'el needs to receive a token from vLLM's token API, by the number
of streams. A stub in another process sends one event per token, in vLLM's format. Each line has the median of the
rounds.
"""

import asyncio
import logging
import multiprocessing
import socket
import statistics
import time

import structlog

from oruel.engine.vllm.engine import VLLMEngine
from oruel.engine.vllm.token_server import TokenServer
from oruel.errors import UpstreamUnavailable
from oruel.http.exchange import UpstreamTimeouts, upstream_client
from oruel.types import SamplingParams
from tests.engine.vllm.stub_vllm import VOCABULARY, StubVLLM, serve_stub

STREAMS, TOKENS, ROUNDS = (1, 8, 32, 128), 200, 5
STEP_SECONDS = 0.01


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stub = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    stub.start()
    try:
        for streams in STREAMS:
            rounds = [asyncio.run(measure(port, streams)) for _ in range(ROUNDS)]
            print(f"{streams:4} streams: {statistics.median(rounds) * 1e6:5.1f} µs of CPU time per token")
    finally:
        stub.terminate()


def serve(port: int) -> None:
    async def forever() -> None:
        async with serve_stub(StubVLLM(port=port, pace=STEP_SECONDS, script=lambda row: [65] * TOKENS)):
            await asyncio.Event().wait()

    asyncio.run(forever())


async def measure(port: int, streams: int) -> float:
    """Seconds of CPU time per token, for requests that start together."""
    async with upstream_client() as session:
        server = TokenServer(session, f"http://127.0.0.1:{port}", None, UpstreamTimeouts())
        engine = VLLMEngine(server, VOCABULARY, model="demo")
        await meet(engine)
        started = time.process_time()
        await asyncio.gather(*(receive(engine) for _ in range(streams)))
        spent = time.process_time() - started
        await engine.close()
    return spent / (streams * TOKENS)


async def meet(engine: VLLMEngine) -> None:
    """Waits until the stub listens."""
    while True:
        try:
            await engine.start()
        except UpstreamUnavailable:
            await asyncio.sleep(0.1)
        else:
            return


async def receive(engine: VLLMEngine) -> None:
    with engine.generate([1, 2], SamplingParams(), choices=1, max_tokens=TOKENS) as generation:
        while all(output.finish is None for _, output in await generation.outputs()):
            pass
        await generation.settled()


if __name__ == "__main__":
    main()
