"""Requests of Oru'el's to the plugin, and a vocabulary of bytes."""

from typing import Any

from oruel.constraints.spec import ConstraintSpec
from oruel.constraints.tokens import TokenTable
from oruel.engine.vllm.wire import RowRequest
from oruel.types import SamplingParams
from tests.text.vocabularies import ByteVocabulary

VOCABULARY = ByteVocabulary(merges=[b'{"', b'"}', b'": "', b"ab"], control=["<|mark|>"])
SIZE = VOCABULARY.size
END, MARK = 256, SIZE - 1
TOKENS = TokenTable(VOCABULARY)
ENGINE = "an engine"


def row_request(constraint: ConstraintSpec | None = None, max_tokens: int = 40, **sampling: Any) -> RowRequest:
    return RowRequest(
        engine=ENGINE,
        choice=0,
        sampling=SamplingParams(**sampling),
        constraint=constraint,
        end_tokens=[END],
        mark=MARK,
        max_tokens=max_tokens,
        prompt_tokens=3,
    )
