"""The engine process: reads messages from stdin, steps while there is work, writes one message per step to stdout."""

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
from typing import BinaryIO

from oruel.engine.engine import Engine
from oruel.engine.protocol import (
    LENGTH,
    MAX_FRAME_BYTES,
    Cancel,
    FromEngine,
    Ready,
    Refused,
    Start,
    Submit,
    ToEngine,
    decode_to_engine,
    frame,
)
from oruel.engine.scheduler import Limits
from oruel.errors import ConfigError, StartupError
from oruel.llama import bindings
from oruel.llama.context import Context
from oruel.llama.library import load_library
from oruel.llama.model import Model

STEP_TOKENS = 512
PREFILL_TOKENS = 128
LONGEST_DEFAULT_CONTEXT = 8192
LARGEST_DEFAULT_POOL = 32768

Mailbox = queue.SimpleQueue[ToEngine | None]


def main() -> None:
    # A Ctrl-C reaches the whole process group; when to stop is the API process's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="engine: %(message)s")
    # It warns of a pool larger than the window, which is what a pool is for.
    logging.getLogger("oruel.llama").setLevel(logging.ERROR)
    wire = take_stdout()
    start = read_message(sys.stdin.buffer)
    assert isinstance(start, Start)
    with contextlib.ExitStack() as owned:
        try:
            engine, ready = build(start, owned)
        except StartupError as error:
            send(wire, Refused(error.message))
            return
        send(wire, ready)
        serve(engine, listen(), wire)


def take_stdout() -> BinaryIO:
    """Frames keep the real stdout to themselves: what a C library prints goes to stderr instead."""
    wire = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return wire


def send(wire: BinaryIO, message: FromEngine) -> None:
    wire.write(frame(message))
    wire.flush()


def build(start: Start, owned: contextlib.ExitStack) -> tuple[Engine, Ready]:
    """Raises StartupError."""
    library = load_library(start.library)
    model = owned.enter_context(Model(start.model, gpu_layers=start.gpu_layers, library=library))
    window = choose_window(start, model.context_length)
    pool = start.pool or max(window, min(window * start.slots, LARGEST_DEFAULT_POOL))
    threads = start.threads or usable_cores()
    context = owned.enter_context(Context(model, cells=pool, sequences=start.slots, batch=STEP_TOKENS, threads=threads))
    limits = Limits(pool, start.slots, context.batch, PREFILL_TOKENS)
    vocabulary = model.vocabulary
    engine = Engine(context, limits, vocabulary_size=vocabulary.size, is_end=vocabulary.is_end)
    return engine, Ready(window, pool, bindings.LLAMA_VERSION)


def choose_window(start: Start, trained: int) -> int:
    """Raises ConfigError."""
    if start.context is None:
        return min(trained, LONGEST_DEFAULT_CONTEXT, start.pool or LONGEST_DEFAULT_CONTEXT)
    if start.context > trained:
        raise ConfigError(
            f"ctx is {start.context}, but the model was trained for {trained} tokens and answers with noise beyond "
            f"them. Set ctx to at most {trained}.",
            param="ctx",
        )
    return start.context


def usable_cores() -> int:
    """Fewer than the machine has, where a container or taskset says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def listen() -> Mailbox:
    mailbox: Mailbox = queue.SimpleQueue()

    def read() -> None:
        while (message := read_message(sys.stdin.buffer)) is not None:
            mailbox.put(message)
        mailbox.put(None)

    threading.Thread(target=read, name="mailbox", daemon=True).start()
    return mailbox


def read_message(stream: BinaryIO) -> ToEngine | None:
    """None at the end of the stream, which is how the API process goes away."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(header)
    assert length <= MAX_FRAME_BYTES
    message: ToEngine = decode_to_engine(stream.read(length))
    return message


def serve(engine: Engine, mailbox: Mailbox, wire: BinaryIO) -> None:
    """The loop: take what has arrived, then one step. Sleeps only where there is nothing to compute."""
    while True:
        while not (engine.has_work and mailbox.empty()):
            message = mailbox.get()
            if message is None:
                return
            deliver(engine, message)
        output = engine.step()
        if output.tokens or output.failures:
            send(wire, output)


def deliver(engine: Engine, message: ToEngine) -> None:
    match message:
        case Submit():
            engine.submit(message)
        case Cancel():
            engine.cancel(message.sequence)
        case Start():
            raise AssertionError("an engine starts once")


if __name__ == "__main__":
    main()
