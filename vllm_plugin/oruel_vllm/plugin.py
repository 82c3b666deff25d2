"""The plugin apart from vLLM's interfaces: makes a row for each of Oru'el's requests, and introduces itself."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from oruel.constraints.tokens import TokenTable
from oruel.engine.vllm.wire import (
    FAILED_MARKS,
    CheckRequest,
    Failure,
    FailureKind,
    HelloReply,
    HelloRequest,
    RowRequest,
    check_tokens,
    ending_tokens,
    from_extra_args,
    hello_tokens,
    vocabulary_digest,
)
from oruel.errors import ModelLoadError
from oruel.hugging_face.folder import ModelFolder
from oruel_vllm.constrained_row import ConstrainedRow
from oruel_vllm.constraint_threads import ConstraintThreads
from oruel_vllm.row import Row, SampledRow, ScriptedRow

BUG_MESSAGE = "The plugin couldn't begin this row, because of a fault of its own. vLLM's log has the details."
NO_TOKENIZER_MESSAGE = "The plugin couldn't load the model's tokenizer, so it can't compute constraints."
CHANGED_MESSAGE = "vLLM has been restarted with another model or other settings."

# All rows of a step wait for the slowest, so one that isn't ready after this time fails.
PATIENCE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Plugin:
    """`reply` describes the engine, but for the tokenizer. `tokenizer` is a folder with a tokenizer in Hugging Face
    form.
    """

    def __init__(self, reply: HelloReply, tokenizer: str) -> None:
        self._threads: ConstraintThreads | None = None
        self.reply = reply
        if tokens := load_tokens(tokenizer):
            digest, table = tokens
            table.prepare()
            # Each of several ranks chooses for itself, so nothing may depend on how long it takes.
            patience = None if reply.ranks > 1 else PATIENCE_SECONDS
            self._threads = ConstraintThreads(table, reply.window, patience)
            self.reply = msgspec.structs.replace(reply, tokenizer=digest)
        self._fingerprint = self.reply.fingerprint

    def row(self, extra_args: Mapping[str, Any] | None, output: Sequence[int]) -> Row | None:
        """The row of a request that has generated `output` so far; None if it isn't Oru'el's. Raises WireError."""
        message = from_extra_args(extra_args)
        if message is None:
            return None
        if isinstance(message, HelloRequest):
            return ScriptedRow(hello_tokens(self.reply))
        if isinstance(message, CheckRequest):
            return ScriptedRow(check_tokens(self._fingerprint, message.nonce, self.reply.vocabulary_size))
        try:
            return self._sampled(message, output)
        except Exception:
            # An error here would end vLLM, and with it the rows of all others.
            log.exception("a row could not be made")
            return failed(message, Failure(FailureKind.ENGINE, BUG_MESSAGE))

    def _sampled(self, request: RowRequest, output: Sequence[int]) -> Row:
        if highest_token(request) >= self.reply.vocabulary_size:
            # A logit that isn't there would end vLLM. Such a request isn't for this model, and neither is any ending.
            log.warning("Oru'el's request names tokens that this model doesn't have; its answer makes no sense.")
            return ScriptedRow(())
        if request.engine != self._fingerprint:
            return failed(request, Failure(FailureKind.CHANGED, CHANGED_MESSAGE))
        if request.constraint is None:
            return SampledRow(request, output)
        if self._threads is None:
            return failed(request, Failure(FailureKind.ENGINE, NO_TOKENIZER_MESSAGE))
        return ConstrainedRow(request, output, self._threads)


def highest_token(request: RowRequest) -> int:
    return max([request.mark, *request.end_tokens, *request.seal, *request.sampling.logit_bias])


def failed(request: RowRequest, failure: Failure) -> ScriptedRow:
    return ScriptedRow(ending_tokens(request, FAILED_MARKS, failure), request.mark)


def load_tokens(folder: str) -> tuple[str, TokenTable] | None:
    """The digest and the table of the tokenizer in `folder`; None, with a warning, if it can't be used."""
    try:
        vocabulary = ModelFolder(folder).vocabulary
    except ModelLoadError as error:
        log.warning("Oru'el's requests with a constraint will fail: %s", error.message)
        return None
    table = TokenTable(vocabulary)
    if not table.can_write_json:
        log.warning("Oru'el's requests with a constraint will fail: the tokenizer can't spell JSON byte by byte.")
        return None
    return vocabulary_digest(vocabulary), table
