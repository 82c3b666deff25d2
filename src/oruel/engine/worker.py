"""The engine process: reads messages from stdin, steps while there is work, and writes the output to stdout."""

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, NoReturn

from oruel.constraints.tokens import TokenTable
from oruel.engine.adaptive_context import AdaptiveContext
from oruel.engine.batch import PADDING_TOKEN
from oruel.engine.compiler import CompiledRequest, GrammarCompiler
from oruel.engine.engine import Engine
from oruel.engine.outbox import Outbox
from oruel.engine.protocol import (
    LENGTH,
    MAX_FRAME_BYTES,
    Cancel,
    EngineReady,
    FromEngine,
    Ping,
    Pong,
    SequenceFailed,
    Start,
    StartFailed,
    Submit,
    ToEngine,
    decode_to_engine,
    frame,
)
from oruel.engine.scheduler import StepLimits
from oruel.errors import ConfigError, StartupError
from oruel.llama import bindings
from oruel.llama.bindings import MAX_SEQUENCES
from oruel.llama.context import Context
from oruel.llama.library import load_library
from oruel.llama.model import Model

MAX_DEFAULT_CONTEXT = 8192
MAX_DEFAULT_POOL = 32768
MAX_DEFAULT_PARALLEL = 16
WARM_UP_TOKENS = 32
MIN_PREFILL_TOKENS = 16
STEP_SECONDS = 2.0
PAUSE_SECONDS = 0.02

Mailbox = queue.SimpleQueue[ToEngine | CompiledRequest]
"""The messages for the main loop."""


def main() -> None:
    # A service manager may signal every process it started, but the API process decides when to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="engine: %(message)s")
    wire = reserve_stdout()
    start = read_message(sys.stdin.buffer)
    if start is None:
        exit_process()
    assert isinstance(start, Start)
    mailbox = Mailbox()
    reader = Reader(mailbox.put)
    reader.start()
    with contextlib.ExitStack() as owned:
        try:
            engine, tokens, ready = build_engine(start, owned)
        except StartupError as error:
            send_message(wire, StartFailed(error.message))
            exit_process()
        send_message(wire, ready)
        # /metrics shows the number of threads before the first request.
        send_message(wire, engine.report())
        compiler = GrammarCompiler(tokens, mailbox.put, ready.context)
        reader.deliver = partial(route, compiler, mailbox)
        run_engine(engine, compiler, mailbox, wire)


def reserve_stdout() -> BinaryIO:
    """Reserves the real stdout for frames. The output of C libraries goes to stderr."""
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return wire


def send_message(wire: BinaryIO, message: FromEngine) -> None:
    try:
        wire.write(frame(message))
        wire.flush()
    except BrokenPipeError:
        exit_process()


def exit_process() -> NoReturn:
    """Exits at once, from any thread. Nothing needs saving, and Python's regular exit aborts over a reading thread."""
    os._exit(0)


def build_engine(start: Start, owned: contextlib.ExitStack) -> tuple[Engine, TokenTable, EngineReady]:
    """Raises StartupError."""
    library = load_library(start.library)
    model = owned.enter_context(Model(start.model, gpu_layers=start.gpu_layers, library=library))
    window = choose_window(start, model.context_length)
    places = choose_places(start, window)
    # A lone sequence needs a neighbour's cells for padding.
    sequences = min(MAX_SEQUENCES, max(2, places, (start.pool or 0) // window))
    batch = max(StepLimits.prefill_tokens, sequences)
    threads = start.threads or usable_cores()
    loaded = owned.enter_context(Context(model, window=window, sequences=sequences, batch=batch, threads=threads))
    speed = tokens_per_second(loaded)
    context = loaded if start.threads else adapt_threads(loaded, threads)
    limits = choose_limits(places, speed, shares=model.can_forget)
    vocabulary = model.vocabulary
    tokens = TokenTable(vocabulary)
    if tokens.can_write_json:
        # Preparing a large vocabulary takes a second, for which no stream should have to wait.
        tokens.prepare()
    engine = Engine(context, limits, vocabulary_size=vocabulary.size, is_end=tokens.ends.__contains__)
    return (
        engine,
        tokens,
        EngineReady(
            context=window,
            pool=context.window * sequences,
            parallel=places,
            kernels=describe_kernels(invariant=model.can_forget and not model.uses_gpu),
            writes_json=tokens.can_write_json,
            threads=context.threads,
            cores=0 if start.threads else threads,
        ),
    )


def adapt_threads(context: Context, cores: int) -> AdaptiveContext:
    wrapped = AdaptiveContext(context, cores)
    wrapped.measure(PADDING_TOKEN)
    return wrapped


def choose_places(start: Start, window: int) -> int:
    """How many sequences run at once: as many windows as fit into the pool, at most as many as requested."""
    if start.pool is None and start.parallel:
        return start.parallel
    windows = (start.pool or MAX_DEFAULT_POOL) // window
    return max(1, min(start.parallel or MAX_DEFAULT_PARALLEL, windows))


def describe_kernels(*, invariant: bool) -> str:
    """Batch invariance is shown on the CPU only. On a GPU, `make gpu-check` has to show it first."""
    mode = "batch-invariant" if invariant else "batch-dependent"
    return f"llama.cpp {bindings.LLAMA_VERSION} {mode}"


def tokens_per_second(context: Context) -> float:
    """The speed of prefill. Measured twice, since the first run also loads the weights into memory."""
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        context.decode(
            [PADDING_TOKEN] * WARM_UP_TOKENS, range(WARM_UP_TOKENS), [0] * WARM_UP_TOKENS, [False] * WARM_UP_TOKENS
        )
        context.wait()
        seconds = time.perf_counter() - start
        context.forget(0)
    return WARM_UP_TOKENS / seconds


def choose_limits(places: int, speed: float, *, shares: bool) -> StepLimits:
    """A step prefills as many tokens as take about STEP_SECONDS, so that a slow model isn't mistaken for a hung one.
    While other sequences decode, it prefills as many as take about PAUSE_SECONDS, but at least a quarter of the former,
    since small chunks cost more per token.
    """
    alone = max(MIN_PREFILL_TOKENS, min(StepLimits.prefill_tokens, int(speed * STEP_SECONDS)))
    during_decode = max(MIN_PREFILL_TOKENS, alone // 4, min(alone, int(speed * PAUSE_SECONDS)))
    return StepLimits(places, shares=shares, prefill_tokens=alone, prefill_tokens_during_decode=during_decode)


def choose_window(start: Start, trained: int) -> int:
    """Raises ConfigError."""
    if start.context is None:
        return min(trained, MAX_DEFAULT_CONTEXT, start.pool or MAX_DEFAULT_CONTEXT)
    if start.context > trained:
        raise ConfigError(
            f"ctx is {start.context}, but the model was trained for {trained} tokens and produces noise beyond "
            f"that. Set ctx, or context in the catalog, to at most {trained}.",
            param="ctx",
        )
    return start.context


def usable_cores() -> int:
    """May be fewer than the machine has, in a container or under taskset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Reader(threading.Thread):
    """Reads messages from stdin and passes each to `deliver`."""

    def __init__(self, deliver: Callable[[ToEngine], None]) -> None:
        super().__init__(name="reader", daemon=True)
        self.deliver = deliver

    def run(self) -> None:
        while (message := read_message(sys.stdin.buffer)) is not None:
            self.deliver(message)
        # The API process has ended, so no one waits for the current step or for a model that is loading.
        exit_process()


def route(compiler: GrammarCompiler, mailbox: Mailbox, message: ToEngine) -> None:
    """A request with a constraint goes to the compiler at once, so that it is compiled during the current step."""
    if isinstance(message, Submit) and message.constraint:
        compiler.submit(message)
    else:
        mailbox.put(message)


def read_message(stream: BinaryIO) -> ToEngine | None:
    """None at the end of the stream, when the API process has ended."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(header)
    assert length <= MAX_FRAME_BYTES
    message: ToEngine = decode_to_engine(stream.read(length))
    return message


def run_engine(engine: Engine, compiler: GrammarCompiler, mailbox: Mailbox, wire: BinaryIO) -> None:
    """The main loop: processes messages, then runs one step. Blocks only if there is nothing to compute."""
    outbox = Outbox(partial(send_message, wire))
    while True:
        while not (engine.has_work and mailbox.empty()):
            if not engine.has_work:
                outbox.flush()
            handle_message(engine, compiler, mailbox.get(), outbox, wire)
        outbox.post(engine.step())


def handle_message(
    engine: Engine, compiler: GrammarCompiler, message: ToEngine | CompiledRequest, outbox: Outbox, wire: BinaryIO
) -> None:
    match message:
        case Submit():
            engine.submit(message, time.monotonic())
        case CompiledRequest():
            if compiler.release(message.request.sequence):
                admit(engine, message, outbox, wire)
        case Cancel():
            compiler.release(message.sequence)
            engine.cancel(message.sequence)
            if not engine.has_work:
                # No step follows to report the load. Earlier output is sent first.
                outbox.flush()
                send_message(wire, engine.report())
        case Ping():
            send_message(wire, Pong())
        case Start():
            raise AssertionError("an engine starts once")


def admit(engine: Engine, compiled: CompiledRequest, outbox: Outbox, wire: BinaryIO) -> None:
    if isinstance(compiled.outcome, SequenceFailed):
        outbox.flush()
        send_message(wire, engine.report(failures=[compiled.outcome]))
    else:
        engine.submit(compiled.request, time.monotonic(), compiled.outcome)


if __name__ == "__main__":
    main()
