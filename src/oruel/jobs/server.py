"""The job server: one thread that forks a process for each job, watches it, and ends it at its limits.

It loads what jobs need before the first one, so that each job starts within milliseconds and shares that memory. It
ends when the API process does.
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
from pathlib import Path
from typing import Any

from oruel.errors import StartupError
from oruel.jobs.base import Tokenizers
from oruel.jobs.child import OUT_OF_MEMORY, import_work, run_job, run_work
from oruel.jobs.messages import (
    Ended,
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

# The API process and the engines have priority over all jobs, and new jobs over long ones.
NICENESS, LATE_NICENESS = 5, 19
LATE_SECONDS = 0.1

WATCH_SECONDS = 0.02
MESSAGE_BYTES = 2**16
MAX_SOCKETS = 64
# A job ended by a signal while using at least this share of its memory is assumed to have run out of memory.
MEMORY_SHARE = 0.5


@dataclass(slots=True)
class Task:
    """A running or waiting job. `process` is 0 while it waits."""

    job: Job
    work: str
    connection: socket.socket
    process: int = 0
    started: float = 0.0
    used: JobUsage = field(default_factory=JobUsage)
    late: bool = False
    reason: Reason | None = None

    def kill(self, reason: Reason | None = None) -> None:
        self.reason = self.reason or reason
        os.kill(self.process, signal.SIGKILL)


class JobServer:
    def __init__(self, control: socket.socket, inbox: Inbox[ToServer], tokenizers: Tokenizers, limits: Limits) -> None:
        self._control = control
        self._inbox = inbox
        self._tokenizers = tokenizers
        self._limits = limits
        self._schedule = Schedule(limits.places, limits.waiting)
        self._tasks: dict[int, Task] = {}
        self._by_socket: dict[int, Task] = {}
        self._sockets: list[int] = []
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._deaths = child_exit_socket()
        self._poll.register(self._deaths, select.POLLIN)
        self._resident = (read_job_usage(os.getpid()) or JobUsage()).resident

    def serve(self) -> None:
        """Until the API process has gone."""
        while self._take(self._poll.poll(WATCH_SECONDS * 1000 if self._running else None)):
            self._watch()
            for job in self._schedule.start():
                self._start(self._tasks[job.number])
        running = self._running
        for task in running:
            task.kill()
        for task in running:
            os.waitpid(task.process, 0)

    @property
    def _running(self) -> list[Task]:
        return [task for task in self._tasks.values() if task.process]

    def _take(self, events: list[tuple[int, int]]) -> bool:
        """Returns whether the API process is still there."""
        for descriptor, _ in events:
            if descriptor == self._control.fileno():
                if not self._hear():
                    return False
            elif descriptor == self._deaths.fileno():
                self._deaths.recv(MESSAGE_BYTES)
                self._bury()
            elif task := self._by_socket.get(descriptor):
                self._forget(task)
        return True

    def _hear(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, MAX_SOCKETS)
        self._sockets += descriptors
        for message in self._inbox.feed(data):
            assert isinstance(message, Run)
            self._add(message, socket.socket(fileno=self._sockets.pop(0)))
        return bool(data)

    def _add(self, message: Run, connection: socket.socket) -> None:
        task = Task(Job(message.job, message.kind, message.account), message.work, connection)
        self._tasks[message.job] = self._by_socket[connection.fileno()] = task
        # Waits only for the other end to close.
        self._poll.register(connection, 0)
        if refused := self._schedule.arrive(task.job):
            self._end(self._tasks[refused.number], "no room")

    def _start(self, task: Task) -> None:
        try:
            task.process = os.fork()
        except OSError as error:
            self._end(task, "no room", str(error.strerror))
            return
        if not task.process:
            run_job(task.work, task.connection, self._tokenizers, self._limits, self._close_others)
        task.started = time.monotonic()

    def _close_others(self, connection: socket.socket) -> None:
        """Called in a job's process, which would otherwise keep the sockets of other jobs open."""
        self._control.close()
        for task in self._tasks.values():
            if task.connection is not connection:
                task.connection.close()

    def _forget(self, task: Task) -> None:
        """The client has disconnected."""
        self._poll.unregister(task.connection)
        if task.process:
            task.kill()
        else:
            self._remove(task)

    def _watch(self) -> None:
        for task in self._running:
            self._look(task)
        running = [task for task in self._running if not task.reason]
        grown = sum(max(0, task.used.resident - self._resident) for task in running)
        if grown > self._limits.total_memory:
            max(running, key=lambda task: task.used.resident).kill("gave way")
        seconds = {task.job.number: task.used.seconds for task in running}
        for job in self._schedule.giving_way(seconds):
            self._tasks[job.number].kill("gave way")

    def _look(self, task: Task) -> None:
        age = time.monotonic() - task.started
        task.used = read_job_usage(task.process) or JobUsage(age)
        if task.used.seconds >= LATE_SECONDS and not task.late:
            task.late = True
            os.setpriority(os.PRIO_PROCESS, task.process, LATE_NICENESS)
        if age > self._limits.longest:
            task.kill("time")

    def _bury(self) -> None:
        while self._running:
            process, status, used = os.wait4(-1, os.WNOHANG)
            if not process:
                return
            task = next(task for task in self._running if task.process == process)
            seconds = used.ru_utime + used.ru_stime
            reason, detail = self._reason(task, os.waitstatus_to_exitcode(status), used.ru_maxrss)
            task.used = JobUsage(seconds)
            if reason:
                self._end(task, reason, detail)
            else:
                self._remove(task)

    def _reason(self, task: Task, code: int, kilobytes: int) -> tuple[Reason | None, str]:
        """Why a job ended without an answer, None if it answered; and how its process ended."""
        if code == 0:
            return None, ""
        if task.reason:
            return task.reason, ""
        if code == -signal.SIGPROF:
            return "cpu", ""
        grown = kilobytes * 1024 - self._resident
        if code == OUT_OF_MEMORY or (code < 0 and grown > MEMORY_SHARE * self._limits.memory):
            return "memory", ""
        return "failed", f"signal {-code}" if code < 0 else f"exit status {code}"

    def _end(self, task: Task, reason: Reason, detail: str = "") -> None:
        self._say(Ended(task.job.number, reason, task.used.seconds, detail))
        self._remove(task)

    def _remove(self, task: Task) -> None:
        self._schedule.leave(task.job.number)
        del self._tasks[task.job.number], self._by_socket[task.connection.fileno()]
        with suppress(KeyError):
            self._poll.unregister(task.connection)
        task.connection.close()

    def _say(self, message: JobMessage) -> None:
        # The API process may have ended, which the next turn shows.
        with suppress(BrokenPipeError, ConnectionError):
            self._control.sendall(encode_message(message))


def child_exit_socket() -> socket.socket:
    """Readable once a job's process has ended."""
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
        if order := first_message(control, inbox):
            serve(control, inbox, order)
    # Python's regular exit would free memory that the system frees faster.
    os._exit(0)


def serve(control: socket.socket, inbox: Inbox[Any], order: Open) -> None:
    """Returns when the API process has ended, or when it could not be given what it needs."""
    try:
        tokenizers = open_resources(order)
    except StartupError as error:
        control.sendall(encode_message(Refused(error.message)))
        return
    silence_output()
    control.sendall(encode_message(ServerReady()))
    JobServer(control, inbox, tokenizers, order.limits).serve()


def first_message(control: socket.socket, inbox: Inbox[Any]) -> Open | None:
    """None if the API process has ended."""
    while data := control.recv(MESSAGE_BYTES):
        for message in inbox.feed(data):
            assert isinstance(message, Open)
            return message
    return None


def open_resources(order: Open) -> Tokenizers:
    """Loads everything that jobs need. Raises StartupError."""
    for work in order.works:
        import_work(work)
    tokenizers = {source.path: open_tokenizer(source) for source in order.tokenizers}
    for rehearsal in order.rehearsals:
        run_work(rehearsal.work, rehearsal.question, tokenizers)
    # Objects that never change stay in memory that all jobs share.
    gc.collect()
    gc.freeze()
    return tokenizers


def open_tokenizer(source: TokenizerSource) -> Tokenizer:
    """Raises StartupError."""
    model = Model(Path(source.path), vocabulary_only=True, library=load_library(source.library))
    tokenizer = Tokenizer(model.vocabulary, model.chat_template, describes_tools=source.describes_tools)
    tokenizer.longest_piece  # noqa: B018 - it is remembered
    return tokenizer


def silence_output() -> None:
    """Libraries print complaints about adversarial input."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)


if __name__ == "__main__":
    main()
