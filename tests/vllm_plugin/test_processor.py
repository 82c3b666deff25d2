"""Both of vLLM's interfaces: a request's tokens depend on the request alone, whatever its batch goes through, and every
rank chooses the same.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest

from oruel.constraints.grammar import GrammarConstraint
from oruel.constraints.json_object import JsonObjectConstraint
from oruel.constraints.spec import ConstraintSpec, DocumentOrCallsSpec, JsonObjectSpec, schema_spec
from oruel.engine.vllm.wire import CLOSED_MARKS, COMPLETE_MARKS, FAILED_MARKS, RowRequest
from oruel.sampling import Sampler
from oruel.sampling.constraint import UNDECIDED
from tests.vllm_plugin.rows import END, MARK, SIZE, TOKENS, row_request

pytest.importorskip("torch", reason="torch is not installed; make test-vllm runs this where it is")

import torch

from tests.vllm_plugin.fake_vllm import (
    FakeRequest,
    FakeV1Runner,
    FakeV2Runner,
    config,
    import_processor,
    logits_after,
)

LENGTH = 30
PERSON = schema_spec(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)
# Some of its tokens are refused and drawn again.
DISTINCT = schema_spec({"type": "array", "items": {"enum": ["ab", "a", "b"]}, "uniqueItems": True, "minItems": 2})
SETTINGS: list[tuple[ConstraintSpec | None, dict[str, Any]]] = [
    (None, {"temperature": 0.7}),
    (None, {"temperature": 0.0, "repetition_penalty": 1.3}),
    (None, {"top_k": 20, "top_p": 0.9, "frequency_penalty": 0.4, "presence_penalty": 0.1}),
    (None, {"min_p": 0.05, "logit_bias": {3: 2.0}}),
    (JsonObjectSpec(), {"temperature": 0.7}),
    (PERSON, {"top_p": 0.9, "presence_penalty": 0.2}),
    (DISTINCT, {"temperature": 1.5}),
]


@pytest.fixture(autouse=True)
def tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    import_processor()
    monkeypatch.setattr("oruel_vllm.plugin.load_tokens", lambda _: ("a digest", TOKENS))


@pytest.fixture(params=["v1", "v2"])
def build(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Builds a runner with as many processors as there are ranks, which `prepare` may change."""

    def build_runner(
        requests: list[FakeRequest], seed: int, ranks: int = 1, prepare: Callable[[Any], None] = lambda _: None
    ) -> Any:
        module, states = import_processor(), FakeV2Runner.new_states()
        arguments = (torch.device("cpu"), False) if request.param == "v1" else (states,)
        processors = [module.OruelProcessor(config(ranks), *arguments) for _ in range(ranks)]
        prepare(processors[-1])
        engine = processors[0]._plugin.reply.fingerprint
        for one in requests:
            if one.row:
                one.row = msgspec.structs.replace(one.row, engine=engine)
        if request.param == "v1":
            return FakeV1Runner(processors, requests, seed)
        return FakeV2Runner(processors, requests, seed, states)

    return build_runner


def fake_request(number: int) -> FakeRequest:
    """Every third is another client's."""
    if number % 3 == 2:
        return FakeRequest(number, None, LENGTH)
    spec, sampling = SETTINGS[number // 3 % len(SETTINGS)]
    return FakeRequest(number, row_request(spec, LENGTH, seed=number, **sampling), LENGTH + (8 if spec else 0))


def expected_output(request: FakeRequest) -> list[int]:
    """What the sampler for one row writes, and then the ending."""
    row = request.row
    assert row
    constraint = build_constraint(row)
    sampler, output = Sampler(row.sampling, row.choice, SIZE, constraint), list[int]()
    while len(output) < row.max_tokens:
        if constraint and constraint.is_complete:
            return [*output, *[MARK] * (CLOSED_MARKS if constraint.is_closing else COMPLETE_MARKS), END]
        token = sampler.sample(logits_after(request.prompt + output))
        assert token != UNDECIDED
        output.append(token)
        if token in row.end_tokens:
            return output
        sampler.accept(token)
    if constraint and constraint.is_complete:
        return [*output, *[MARK] * (CLOSED_MARKS if constraint.is_closing else COMPLETE_MARKS), END]
    return [*output, END] if constraint else output


def build_constraint(row: RowRequest) -> JsonObjectConstraint | GrammarConstraint | None:
    if row.constraint is None:
        return None
    if isinstance(row.constraint, JsonObjectSpec):
        return JsonObjectConstraint(TOKENS, row.max_tokens)
    assert not isinstance(row.constraint, DocumentOrCallsSpec)
    return GrammarConstraint(TOKENS, row.constraint, row.max_tokens)


def test_each_request_gets_what_it_would_get_alone_in_a_batch_that_vllm_changes_at_will(
    build: Callable[..., Any],
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    finished = build([fake_request(number) for number in range(30)], seed, ranks=2).run()
    for request in finished:
        if request.row:
            assert request.output == expected_output(request), f"request {request.number}"
        else:
            assert len(request.output) == LENGTH


def slow_down(processor: Any) -> None:
    """Each constraint of this rank takes 50 ms for a token."""
    threads = processor._plugin._threads
    submit = threads.submit

    def submit_slowly(work: Callable[[], Any]) -> Any:
        def work_slowly() -> Any:
            time.sleep(0.05)
            return work()

        return submit(work_slowly)

    threads.submit = submit_slowly


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oruel_vllm.plugin.PATIENCE_SECONDS", 0.001)


@pytest.mark.usefixtures("impatient")
def test_a_rank_that_is_slower_than_another_chooses_the_same(build: Callable[..., Any]) -> None:
    request = FakeRequest(1, row_request(JsonObjectSpec(), 12, seed=1), 20)
    (finished,) = build([request], 1, ranks=2, prepare=slow_down).run()
    assert finished.output == expected_output(finished)


@pytest.mark.usefixtures("impatient")
def test_alone_on_its_model_a_row_whose_constraint_is_too_slow_fails_and_the_others_go_on(
    build: Callable[..., Any],
) -> None:
    runner = build(
        [
            FakeRequest(1, row_request(JsonObjectSpec(), 12, seed=1), 20),
            FakeRequest(3, row_request(None, LENGTH, seed=3), LENGTH),
        ],
        1,
    )
    (processor,) = runner._processors
    # It is never ready.
    processor._plugin._threads.submit = lambda _: Future()
    slow, other = runner.run()
    assert slow.output.count(MARK) == FAILED_MARKS
    assert other.output == expected_output(other)


def test_one_entry_point_serves_both_model_runners() -> None:
    module = import_processor()
    assert issubclass(module.OruelProcessor, module.LogitsProcessorV2)
    assert isinstance(module.OruelProcessor(config(), torch.device("cpu"), False), module.V1Processor)
    assert isinstance(module.OruelProcessor(config(), FakeV2Runner.new_states()), module.OruelProcessor)
