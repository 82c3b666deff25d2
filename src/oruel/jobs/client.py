"""The API process's client of the job server: starts it, sends it jobs, and restarts it if it dies."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from oruel.engine.crash_history import CrashHistory
from oruel.errors import PreparationFailed, StartupError
from oruel.jobs.base import A, Kind, Q, Work
from oruel.jobs.child import ANSWERED, decode_value, encode_value, work_name, work_types
from oruel.jobs.connection import Connection, ask_job
from oruel.jobs.endings import ending_error, rebuild_error
from oruel.jobs.messages import Failed, Limits, Open, Rehearsal, Run, TokenizerSource

log = logging.getLogger("oruel.jobs")

DEFAULT_LIMITS = Limits()

# NumPy's libraries would start threads, and forking a process with threads isn't safe.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class JobClient:
    """Belongs to one event loop. `works` maps each function that jobs may run to a question for warming it up, or None.
    The job server and its jobs get the variables of `environment` and inherit no others.
    """

    def __init__(
        self,
        works: Mapping[Callable[..., Any], Any],
        environment: Mapping[str, str],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.limits = limits
        self.restarts = 0
        self._environment = {**environment, **ONE_THREAD}
        rehearsals = [
            Rehearsal(work_name(work), encode_value(question))
            for work, question in works.items()
            if question is not None
        ]
        self._open_message = Open([work_name(work) for work in works], rehearsals, [], limits)
        self._connection: Connection | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._numbers = itertools.count()

    @property
    def pid(self) -> int | None:
        return self._connection.pid if self._connection else None

    @property
    def is_open(self) -> bool:
        """Whether jobs can run."""
        return self._connection is not None and self._connection.is_open

    async def launch(self) -> None:
        """Starts the process, which loads no tokenizers until `open` is called. Raises StartupError."""
        self._connection = await Connection.launch(self._environment)

    async def open(self, tokenizers: Iterable[TokenizerSource]) -> None:
        """Returns when jobs can run with these tokenizers. Raises StartupError."""
        self._open_message = msgspec.structs.replace(self._open_message, tokenizers=list(tokenizers))
        if self._connection is None:
            await self.launch()
        assert self._connection is not None
        await self._connection.open(self._open_message)
        self._supervisor = asyncio.create_task(self._supervise(), name="job server supervisor")

    async def close(self) -> None:
        """Ends the process and all jobs, whose callers get PreparationFailed."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        if self._connection:
            self._connection.close()
            await self._connection.ended()

    async def run(self, work: Work[Q, A], question: Q, *, kind: Kind, account: str = "", param: str | None = None) -> A:
        """See Jobs."""
        connection = self._connection
        if connection is None or not self.is_open:
            raise PreparationFailed("The process that prepares requests is restarting. Try again in a second.")
        number = next(self._numbers)
        with connection.job(Run(number, work_name(work), kind, account)) as ours:
            answer = await ask_job(ours, encode_value(question))
            if answer is None:
                ended = await connection.ending(number)
                if ended.reason == "failed":
                    log.error("The process of a job for %s crashed: %s.", param or "a body", ended.detail)
                raise ending_error(ended, self.limits, param)
        if answer[:1] != ANSWERED:
            raise rebuild_error(msgspec.json.decode(answer[1:], type=Failed))
        result: A = decode_value(answer[1:], work_types(work)[1])
        return result

    async def _supervise(self) -> None:
        crashes = CrashHistory()
        while True:
            assert self._connection is not None
            crashes = crashes.after("its death", await self._connection.ended())
            log.error("The job server died. Restarting it in %g s.", crashes.pause)
            while not await self._restart(crashes):
                crashes = crashes.after("its start", 0)

    async def _restart(self, crashes: CrashHistory) -> bool:
        """Returns whether the new job server can run jobs."""
        await asyncio.sleep(crashes.pause)
        self.restarts += 1
        try:
            await self.launch()
            assert self._connection is not None
            await self._connection.open(self._open_message)
        except StartupError as error:
            log.error("The job server can't be restarted: %s", error.message)
            return False
        return True
