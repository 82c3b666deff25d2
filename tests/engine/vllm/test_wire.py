"""Both ends of the messages between Oru'el and its plugin in vLLM agree."""

import json

import msgspec
import pytest

from oruel.constraints.spec import (
    ConstraintSpec,
    DocumentOrCallsSpec,
    JsonObjectSpec,
    RulesSpec,
    SchemaSpec,
    schema_spec,
)
from oruel.constraints.tokens import ByteVocabulary
from oruel.engine.vllm.wire import (
    CHECK_TOKENS,
    CLOSED_MARKS,
    COMPLETE_MARKS,
    FAILED_MARKS,
    SEAL_TOKENS,
    CheckRequest,
    Failure,
    FailureKind,
    FromOruel,
    HelloReply,
    HelloRequest,
    RowRequest,
    SilentTokens,
    WireError,
    check_tokens,
    choose_mark,
    ending_tokens,
    from_extra_args,
    hello_tokens,
    is_hello,
    new_seal,
    read_hello,
    to_extra_args,
    vocabulary_digest,
)
from oruel.types import SamplingParams

RULES = RulesSpec(("start: ", "{}", ""), param="tools", must_close=True, reasoning_end=(5, 6))
CONSTRAINTS: list[ConstraintSpec | None] = [
    None,
    JsonObjectSpec(),
    schema_spec({"type": "object", "properties": {"ü": {"const": "\x1f"}}}),
    RULES,
    DocumentOrCallsSpec(SchemaSpec("{}", must_close=False), RULES),
]
REPLY = HelloReply(
    plugin="0.1.0",
    vllm="0.32.0",
    model="oruel-demo",
    vocabulary_size=3072,
    tokenizer="a" * 32,
    window=4096,
    parallel=256,
    max_logprobs=21,
    runner="v1",
    prefix_caching=True,
)


def row(constraint: ConstraintSpec | None) -> RowRequest:
    sampling = SamplingParams(0.1, seed=-(2**63), logit_bias={3071: -100.0, 0: 0.1}, logprobs=20, min_p=1e-300)
    return RowRequest(
        engine="f" * 16,
        choice=7,
        sampling=sampling,
        constraint=constraint,
        end_tokens=[0, 2],
        mark=1,
        max_tokens=131072,
        prompt_tokens=12,
    )


@pytest.mark.parametrize("message", [*map(row, CONSTRAINTS), HelloRequest(), CheckRequest("n")], ids=str)
def test_a_message_survives_json(message: FromOruel) -> None:
    assert from_extra_args(json.loads(json.dumps(to_extra_args(message)))) == message


@pytest.mark.parametrize("extra", [None, {}, {"other": 1}], ids=str)
def test_requests_that_are_not_ours_carry_no_message(extra: dict[str, object] | None) -> None:
    assert from_extra_args(extra) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (1, "version None"),
        ({"type": "hello", "version": 2}, "version 2"),
        ({"type": "shout", "version": 1}, "shout"),
        ({"type": "row", "version": 1}, "missing required field"),
    ],
    ids=str,
)
def test_a_message_that_cannot_be_read_is_refused_with_the_reason(given: object, said: str) -> None:
    with pytest.raises(WireError, match=said):
        from_extra_args({"oruel": given})


def test_the_reply_to_a_hello_survives_its_tokens() -> None:
    tokens = hello_tokens(REPLY)
    assert max(tokens) < 256
    assert tokens.index(0) == len(tokens) - 1, "vLLM stops at the first 0"
    assert all(is_hello(tokens[:cut]) for cut in range(len(tokens)))
    assert read_hello(tokens) == REPLY


@pytest.mark.parametrize(
    "tokens",
    [[], [1, 0], [*b"oruel?", 0], [*b"oruel!", 2000, 0], [*b"oruel!", 0], [*b"oruel!\xff", 0], [*b"oruel![]", 0],
     [*b"oruel![1]", 0], [*b"oruel!{}", 0], hello_tokens(REPLY)[:-1]],
    ids=str,
)  # fmt: skip
def test_other_tokens_are_no_reply(tokens: list[int]) -> None:
    with pytest.raises(WireError):
        read_hello(tokens)


def test_a_plugin_of_another_version_is_named_even_if_its_reply_has_other_fields() -> None:
    with pytest.raises(WireError, match="speaks version 2"):
        read_hello([*b'oruel![2, {"mood": "good"}]', 0])


def test_everything_that_a_text_depends_on_changes_the_fingerprint() -> None:
    others = {
        msgspec.structs.replace(REPLY, **change).fingerprint
        for change in ({}, {"model": "b"}, {"vllm": "1"}, {"plugin": "1"}, {"batch_invariant": True}, {"ranks": 2})
    }
    assert len(others) == 6


def test_a_check_is_answered_by_tokens_of_the_vocabulary_that_depend_on_engine_and_nonce() -> None:
    answers = {tuple(check_tokens(engine, nonce, 3072)) for engine in ("a", "b") for nonce in map(str, range(100))}
    assert len(answers) > 190
    assert all(len(answer) == CHECK_TOKENS and set(answer) <= set(range(3072)) for answer in answers)


def test_a_mark_is_a_token_without_text_that_the_request_does_not_use() -> None:
    vocabulary = ByteVocabulary()  # 256 bytes, and the end token 256
    silent = SilentTokens.of(vocabulary)
    assert choose_mark(silent, 260, used=[259]) == 258
    assert choose_mark(silent, 257, used=[]) is None


def test_a_mark_is_found_without_a_search_of_the_vocabulary() -> None:
    """It is chosen for every choice, on the event loop that all clients share."""

    class OnlyFirstIsSilent(ByteVocabulary):
        size = 2**18

        def piece(self, token: int) -> bytes:
            return b"x" if token else b""

    silent = SilentTokens.of(OnlyFirstIsSilent())
    assert silent.known == (0,)
    assert choose_mark(silent, 2**18, used=[]) == 0


def test_a_seal_is_bytes_that_are_neither_the_mark_nor_where_vllm_stops() -> None:
    taken = set(range(3, 250))
    seals = [new_seal(taken) for _ in range(100)]
    assert all(len(seal) == SEAL_TOKENS and not taken & set(seal) and max(seal) < 256 for seal in seals)
    assert len({tuple(new_seal(())) for _ in range(100)}) == 100


def test_a_failure_is_sealed_between_its_marks_and_its_reason() -> None:
    sealed = msgspec.structs.replace(row(None), seal=[7, 8, 9, 7])
    failure = Failure(FailureKind.ENGINE, "no")
    assert ending_tokens(sealed, FAILED_MARKS, failure) == [1, 1, 1, 7, 8, 9, 7, ord("e"), *b"no", 0]
    assert ending_tokens(sealed, CLOSED_MARKS) == [1, 1, 0]


def test_an_ending_is_marks_a_failure_if_there_is_one_and_an_end_token() -> None:
    failure = Failure(FailureKind.ENGINE, "ü")
    assert ending_tokens(row(None), COMPLETE_MARKS) == [1, 0]
    assert ending_tokens(row(None), CLOSED_MARKS) == [1, 1, 0]
    assert ending_tokens(row(None), FAILED_MARKS, failure) == [1, 1, 1, ord("e"), 0xC3, 0xBC, 0]


def test_a_failure_survives_its_tokens_whole_or_cut() -> None:
    failure = Failure(FailureKind.CONSTRAINT, "no document fits: ü")
    assert Failure.read(failure.tokens()) == failure
    assert Failure.read(failure.tokens()[:-1]) == Failure(FailureKind.CONSTRAINT, "no document fits: \ufffd")


@pytest.mark.parametrize("tokens", [[], [9], [0, 256]], ids=str)
def test_other_tokens_are_no_failure(tokens: list[int]) -> None:
    with pytest.raises(WireError):
        Failure.read(tokens)


def test_a_digest_tells_vocabularies_apart_by_pieces_and_ends() -> None:
    class OtherEnd(ByteVocabulary):
        def is_end(self, token: int) -> bool:
            return token == 255

    class OtherPiece(ByteVocabulary):
        def piece(self, token: int) -> bytes:
            return b"" if token == 65 else super().piece(token)

    assert len({vocabulary_digest(one) for one in (ByteVocabulary(), OtherEnd(), OtherPiece())}) == 3
