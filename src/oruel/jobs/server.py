"""The job server: a single thread that forks a process for each job, monitors it, and kills it at its limits.

It loads what jobs need before the first one, so that jobs start within milliseconds and share that memory. It ends when
the API process does.
"""

import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from oruel.errors import StartupError
from oruel.hugging_face.folder import ModelFolder
from oruel.jobs.base import Tokenizers
from oruel.jobs.child import OUT_OF_MEMORY, import_work, run_job, run_work
from oruel.jobs.messages import (
    Ended,
    GgufTokenizer,
    HuggingFaceTokenizer,
    Inbox,
    JobMessage,
    Limits,
    Open,
    Reason,
    Refused,
    Run,
    ServerReady,
    TokenizerSource,
    ToServer,
    encode_message,
    to_server_decoder,
)
from oruel.jobs.schedule import Job, Schedule
from oruel.jobs.usage import JobUsage, read_job_usage
from oruel.llama.library import load_library
from oruel.llama.model import Model
from oruel.text.tokenizer import Tokenizer

# Jobs have a lower priority than the API process and the engines, and long jobs a lower one than new jobs.
NICENESS, LONG_NICENESS = 5, 19
LONG_CPU_SECONDS = 0.1

POLL_SECONDS = 0.02
MESSAGE_BYTES = 2**16
MAX_SOCKETS = 64
# A job that was killed by a signal is assumed to have run out of memory if it used at least this share of its limit.
MEMORY_SHARE = 0.5


@dataclass(slots=True)
class Task:
    """A running or waiting job. `pid` is 0 while it waits. `reason`: why the server killed it, if it did."""

    job: Job
    work: str
    connection: socket.socket
    pid: int = 0
    started: float = 0.0
    used: JobUsage = field(default_factory=JobUsage)
    is_long: bool = False
    reason: Reason | None = None

    def kill(self, reason: Reason | None = None) -> None:
        self.reason = self.reason or reason
        os.kill(self.pid, signal.SIGKILL)


class JobServer:
    def __init__(self, control: socket.socket, inbox: Inbox[ToServer], tokenizers: Tokenizers, limits: Limits) -> None:
        self._control = control
        self._inbox = inbox
        self._tokenizers = tokenizers
        self._limits = limits
        self._schedule = Schedule(limits.slots, limits.queue)
        self._tasks: dict[int, Task] = {}
        self._by_socket: dict[int, Task] = {}
        self._sockets: list[int] = []
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._exits = child_exit_socket()
        self._poll.register(self._exits, select.POLLIN)
        self._resident = (read_job_usage(os.getpid()) or JobUsage()).resident

    def serve(self) -> None:
        """Runs jobs until the API process has ended."""
        while self._handle(self._poll.poll(POLL_SECONDS * 1000 if self._running else None)):
            self._enforce_limits()
            for job in self._schedule.start():
                self._start(self._tasks[job.number])
        running = self._running
        for task in running:
            task.kill()
        for task in running:
            os.waitpid(task.pid, 0)

    @property
    def _running(self) -> list[Task]:
        return [task for task in self._tasks.values() if task.pid]

    def _handle(self, events: list[tuple[int, int]]) -> bool:
        """Returns whether the API process is still running."""
        for descriptor, _ in events:
            if descriptor == self._control.fileno():
                if not self._receive():
                    return False
            elif descriptor == self._exits.fileno():
                self._exits.recv(MESSAGE_BYTES)
                self._reap()
            elif task := self._by_socket.get(descriptor):
                self._cancel(task)
        return True

    def _receive(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, MAX_SOCKETS)
        self._sockets += descriptors
        for message in self._inbox.feed(data):
            assert isinstance(message, Run)
            self._add(message, socket.socket(fileno=self._sockets.pop(0)))
        return bool(data)

    def _add(self, message: Run, connection: socket.socket) -> None:
        task = Task(Job(message.job, message.kind, message.account), message.work, connection)
        self._tasks[message.job] = self._by_socket[connection.fileno()] = task
        # Without event flags, poll reports only that the other end was closed.
        self._poll.register(connection, 0)
        if refused := self._schedule.add(task.job):
            self._fail(self._tasks[refused.number], "overloaded")

    def _start(self, task: Task) -> None:
        try:
            task.pid = os.fork()
        except OSError as error:
            self._fail(task, "overloaded", str(error.strerror))
            return
        if not task.pid:
            run_job(task.work, task.connection, self._tokenizers, self._limits, self._close_others)
        task.started = time.monotonic()

    def _close_others(self, connection: socket.socket) -> None:
        """Called in the process of a job, which would otherwise keep the sockets of other jobs open."""
        self._control.close()
        for task in self._tasks.values():
            if task.connection is not connection:
                task.connection.close()

    def _cancel(self, task: Task) -> None:
        """Called when the caller has closed its end of the socket."""
        self._poll.unregister(task.connection)
        if task.pid:
            task.kill()
        else:
            self._remove(task)

    def _enforce_limits(self) -> None:
        for task in self._running:
            self._check(task)
        running = [task for task in self._running if not task.reason]
        growth = sum(max(0, task.used.resident - self._resident) for task in running)
        if growth > self._limits.total_memory:
            max(running, key=lambda task: task.used.resident).kill("preempted")
        cpu_seconds = {task.job.number: task.used.cpu_seconds for task in running}
        for job in self._schedule.preempt(cpu_seconds):
            self._tasks[job.number].kill("preempted")

    def _check(self, task: Task) -> None:
        age = time.monotonic() - task.started
        task.used = read_job_usage(task.pid) or JobUsage(age)
        if task.used.cpu_seconds >= LONG_CPU_SECONDS and not task.is_long:
            task.is_long = True
            os.setpriority(os.PRIO_PROCESS, task.pid, LONG_NICENESS)
        if age > self._limits.wall_seconds:
            task.kill("time")

    def _reap(self) -> None:
        while self._running:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            task = next(task for task in self._running if task.pid == pid)
            reason, detail = self._exit_reason(task, os.waitstatus_to_exitcode(status), used.ru_maxrss)
            task.used = JobUsage(used.ru_utime + used.ru_stime)
            if reason:
                self._fail(task, reason, detail)
            else:
                self._remove(task)

    def _exit_reason(self, task: Task, code: int, kilobytes: int) -> tuple[Reason | None, str]:
        """Why a job ended without an answer, None if it answered; and its signal or exit status if it crashed.
        `kilobytes`: the maximum of its resident memory.
        """
        if code == 0:
            return None, ""
        if task.reason:
            return task.reason, ""
        if code == -signal.SIGPROF:
            return "cpu", ""
        growth = kilobytes * 1024 - self._resident
        if code == OUT_OF_MEMORY or (code < 0 and growth > MEMORY_SHARE * self._limits.memory):
            return "memory", ""
        return "failed", f"signal {-code}" if code < 0 else f"exit status {code}"

    def _fail(self, task: Task, reason: Reason, detail: str = "") -> None:
        self._send(Ended(task.job.number, reason, task.used.cpu_seconds, detail))
        self._remove(task)

    def _remove(self, task: Task) -> None:
        self._schedule.remove(task.job.number)
        del self._tasks[task.job.number], self._by_socket[task.connection.fileno()]
        with suppress(KeyError):
            self._poll.unregister(task.connection)
        task.connection.close()

    def _send(self, message: JobMessage) -> None:
        # If the API process has ended, the next poll reports it.
        with suppress(BrokenPipeError, ConnectionError):
            self._control.sendall(encode_message(message))


def child_exit_socket() -> socket.socket:
    """A socket that becomes readable when a child process ends."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    return ours


def main() -> None:
    # The API process decides when to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        inbox = Inbox[Any](to_server_decoder)
        if message := receive_open(control, inbox):
            serve(control, inbox, message)
    # Skips Python's cleanup, since the system frees the memory faster.
    os._exit(0)


def serve(control: socket.socket, inbox: Inbox[Any], message: Open) -> None:
    """Returns when the API process has ended, or when loading has failed."""
    try:
        tokenizers = load_resources(message)
    except StartupError as error:
        control.sendall(encode_message(Refused(error.message)))
        return
    silence_output()
    control.sendall(encode_message(ServerReady()))
    JobServer(control, inbox, tokenizers, message.limits).serve()


def receive_open(control: socket.socket, inbox: Inbox[Any]) -> Open | None:
    """Waits for the first message. Returns None if the API process ends before it sends one."""
    while data := control.recv(MESSAGE_BYTES):
        for message in inbox.feed(data):
            assert isinstance(message, Open)
            return message
    return None


def load_resources(message: Open) -> Tokenizers:
    """Loads and warms up everything that jobs need. Raises StartupError."""
    for work in message.works:
        import_work(work)
    tokenizers = {source.path: load_tokenizer(source) for source in message.tokenizers}
    for rehearsal in message.rehearsals:
        run_work(rehearsal.work, rehearsal.question, tokenizers)
    # The garbage collector then leaves these objects alone, so that their memory stays shared with all jobs.
    gc.collect()
    gc.freeze()
    return tokenizers


def load_tokenizer(source: TokenizerSource) -> Tokenizer:
    """Raises StartupError."""
    model: Model | ModelFolder
    match source:
        case GgufTokenizer():
            model = Model(source.path, vocabulary_only=True, library=load_library(source.library))
        case HuggingFaceTokenizer():
            model = ModelFolder(source.path)
    tokenizer = Tokenizer(model.vocabulary, model.chat_template, describes_tools=source.describes_tools)
    tokenizer.longest_piece  # noqa: B018 - cached for all jobs
    return tokenizer


def silence_output() -> None:
    """Discards stdout and stderr, to which libraries print warnings about adversarial input."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)


if __name__ == "__main__":
    main()
