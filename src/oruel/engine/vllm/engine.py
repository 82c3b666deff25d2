"""A vLLM with our plugin as a TokenEngine: each choice is one request to its token API."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from oruel.constraints.spec import ConstraintSpec
from oruel.engine.generation import Generation
from oruel.engine.live_sequences import LiveSequences
from oruel.engine.vllm.handshake import Expected
from oruel.engine.vllm.plugin_watch import PluginWatch
from oruel.engine.vllm.row import Row, RowOrder, TokenSource
from oruel.engine.vllm.token_server import TokenServer
from oruel.engine.vllm.wire import HelloReply, PieceVocabulary, SilentTokens, vocabulary_digest
from oruel.errors import EngineFailed, InvalidParameter, OruelError, UnsupportedParameter
from oruel.types import SamplingParams, Tier

# vLLM's one API process parses the constraint of every choice, while the streams of all accounts wait.
MAX_CONSTRAINT_BYTES = 2**19


class VLLMEngine:
    """Belongs to one event loop. Holds at most `max_waiting` sequences in addition to those that vLLM runs at once.
    `window` is the number of tokens that a prompt and its answer have together; None for all that vLLM has.
    """

    def __init__(
        self,
        server: TokenServer,
        vocabulary: PieceVocabulary,
        *,
        model: str,
        window: int | None = None,
        max_waiting: int = 256,
        has_tiers: bool = True,
    ) -> None:
        expected = Expected(model, vocabulary_digest(vocabulary), vocabulary.size, window)
        self._watch = PluginWatch(server, expected, has_tiers=has_tiers)
        end_tokens = [token for token in range(vocabulary.size) if vocabulary.is_end(token)]
        self._source = TokenSource(server, self._watch, model, end_tokens, SilentTokens.of(vocabulary))
        self._live = LiveSequences(max_waiting)
        self._rows: dict[int, Row] = {}

    @property
    def hello(self) -> HelloReply | None:
        """What vLLM said of itself last; None before it was reached."""
        return self._watch.hello

    @property
    def problem(self) -> OruelError | None:
        """Why vLLM can't be used now; None while it can."""
        return self._watch.problem

    @property
    def is_trusted(self) -> bool:
        """Whether vLLM has introduced itself since the last failure."""
        return self._watch.is_trusted

    @property
    def running(self) -> int:
        """The number of sequences that vLLM has accepted."""
        return self._live.admitted

    @property
    def waiting(self) -> int:
        return self._live.count - self._live.admitted

    async def start(self) -> HelloReply:
        """What the vLLM says of itself that answers requests now. Raises VLLMUnusable, UpstreamFailed, Overloaded."""
        hello = await self._watch.ensure()
        self._note(hello)
        return hello

    async def close(self) -> None:
        """Fails the requests in progress."""
        self._live.fail(EngineFailed("The server stopped before the answer was complete. Send the request again."))
        rows = list(self._rows.values())
        for row in rows:
            row.task.cancel()
        await asyncio.gather(*(row.task for row in rows), return_exceptions=True)

    def require_room(self, choices: int) -> None:
        self._live.require_room(choices)

    @contextmanager
    def generate(
        self,
        prompt: list[int],
        sampling: SamplingParams,
        *,
        choices: int,
        max_tokens: int,
        tier: Tier = "standard",
        cache_salt: str = "",
        constraint: ConstraintSpec | None = None,
        prefix: tuple[int, ...] = (),
    ) -> Iterator[Generation]:
        """Raises what `require_room` raises, UnsupportedParameter for traces, whose logits vLLM doesn't give, and
        InvalidParameter for schemas of more than MAX_CONSTRAINT_BYTES.
        """
        if sampling.trace is not None or prefix:
            raise UnsupportedParameter("trace is not supported with vLLM. Leave it out.", param="trace")
        if constraint:
            check_size(constraint)
        self.require_room(choices)
        order = RowOrder(prompt, sampling, max_tokens, tier, cache_salt, constraint)
        sequences = self._live.numbers(choices)
        generation = Generation(sequences, self.cancel, reports_late=True)
        rows = [
            Row(self._source, generation, order, sequence=sequence, choice=choice, introduced=self._note)
            for choice, sequence in enumerate(sequences)
        ]
        for row in rows:
            self._live.add(row.sequence, generation)
            self._rows[row.sequence] = row
            row.task.add_done_callback(partial(self._finish, row, rows))
        try:
            yield generation
        finally:
            for row in rows:
                self._live.remove(row.sequence)
                row.task.cancel()

    def cancel(self, sequence: int) -> None:
        """vLLM stops within a step, and still reports how many tokens of the prompt were cached."""
        if self._live.remove(sequence) and (row := self._rows.get(sequence)):
            row.abort()

    def _note(self, hello: HelloReply) -> None:
        self._live.parallel = hello.parallel

    def _finish(self, row: Row, rows: list[Row], task: "asyncio.Task[None]") -> None:
        """A row's request has ended."""
        self._rows.pop(row.sequence, None)
        self._live.remove(row.sequence)
        if not task.cancelled() and (error := task.exception()):
            raise error
        if all(one.task.done() for one in rows):
            row.generation.settle(min((one.cached for one in rows if one.cached is not None), default=0))


def check_size(constraint: ConstraintSpec) -> None:
    """Raises InvalidParameter."""
    size = len(msgspec.msgpack.encode(constraint))
    if size > MAX_CONSTRAINT_BYTES:
        raise InvalidParameter(
            f"{constraint.param} has {size:,} bytes, but this deployment takes {MAX_CONSTRAINT_BYTES:,}. Shorten it.",
            param=constraint.param,
        )
