"""The requests of one account don't keep those of another from their constraints."""

from collections.abc import Iterator
from concurrent.futures import wait

import msgspec
import pytest
from oruel_vllm.constraint_threads import ConstraintThreads

from oruel.constraints.spec import schema_spec
from oruel.engine.vllm.wire import RowRequest
from tests.vllm_plugin.rows import TOKENS, row_request

COSTLY = schema_spec({"enum": [f"{number:05}" for number in range(2000)]})


@pytest.fixture
def threads() -> Iterator[ConstraintThreads]:
    threads = ConstraintThreads(TOKENS, 4096)
    yield threads
    threads.stop()


def test_accounts_take_turns_in_compiling(threads: ConstraintThreads) -> None:
    finished: list[str] = []

    def start(account: str) -> RowRequest:
        return msgspec.structs.replace(row_request(COSTLY), cache_salt=account)

    requests = [start("a") for _ in range(8)] + [start("b")]
    wait([threads.start(one, lambda _, one=one: finished.append(one.cache_salt)) for one in requests])  # type: ignore[misc]
    assert finished.index("b") < 5, finished
