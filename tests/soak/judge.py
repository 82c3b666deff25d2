"""Judges whether a reply is what its plan allows. Pure functions: nothing here waits, sends or counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.soak.exchange import ANSWER_SECONDS, Reply
from tests.soak.plan import Plan, Refusal
from tests.soak.shapes import Completion, ErrorBody, Failure, Usage
from tests.soak.stream import read_stream
from tests.soak.wrong import CheckFailed, decode, require

Outcome = Literal["answered", "refused", "cancelled", "overloaded", "engine_failed", "deadline_exceeded"]

TYPES = {
    400: "invalid_request_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    415: "invalid_request_error",
    503: "overloaded_error",
    504: "timeout_error",
}
STATUSES = {"overloaded": 503, "engine_failed": 503, "deadline_exceeded": 504, "context_length_exceeded": 400}


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    completion: Completion | None = None


def judge(reply: Reply, model: str, *, disturbed: bool) -> Verdict:
    """`disturbed`: an engine was killed or restarted during this request. Raises CheckFailed."""
    if reply.ending == "cancelled":
        return Verdict("cancelled")
    require(reply.ending != "late", f"the answer didn't end within {ANSWER_SECONDS:g} s")
    require(reply.ending == "complete", f"the connection broke: {reply.error}")
    require(reply.headers.get("x-request-id") == reply.plan.id, "the answer belongs to another request")
    answer = read_answer(reply)
    if isinstance(answer, ErrorBody):
        return Verdict(judge_error(answer, reply, disturbed=disturbed))
    require(reply.plan.refusal is None, f"answered, though it must be refused: {reply.plan.refusal}")
    check_completion(answer, reply.plan, model)
    return Verdict("answered", answer)


def read_answer(reply: Reply) -> Completion | ErrorBody:
    if reply.status == 200 and reply.plan.streams:
        require(reply.headers["content-type"].startswith("text/event-stream"), "a stream with another content type")
        return read_stream(bytes(reply.body), include_usage=includes_usage(reply.plan))
    require(reply.headers["content-type"] == "application/json", "an answer that isn't JSON")
    if reply.status == 200:
        return decode(bytes(reply.body), Completion)
    error = decode(bytes(reply.body), Failure).error
    require(TYPES.get(reply.status or 0) == error.type, f"status {reply.status} with {error}")
    require(STATUSES.get(error.code or "", reply.status) == reply.status, f"status {reply.status} with {error}")
    require(reply.status != 503 or "retry-after" in reply.headers, "503 without Retry-After")
    expected = expected_refusal(reply.plan, error)
    require(expected is None or reply.status == expected.status, f"{expected} expected, not {reply.status}: {error}")
    return error


def expected_refusal(plan: Plan, error: ErrorBody) -> Refusal | None:
    """A full queue is noticed before the prompt is tokenized, so before the prompt is too long."""
    is_about_prompt = plan.refusal is not None and plan.refusal.code == "context_length_exceeded"
    return None if is_about_prompt and error.code == "overloaded" else plan.refusal


def judge_error(error: ErrorBody, reply: Reply, *, disturbed: bool) -> Outcome:
    if expected := expected_refusal(reply.plan, error):
        check_refusal(error, expected)
        return "refused"
    match error.code:
        case "overloaded":
            return "overloaded"
        case "engine_failed":
            require(disturbed, f"no engine was killed, but got: {error}")
            return "engine_failed"
        case "deadline_exceeded":
            seconds = reply.ended - reply.sent
            require(seconds >= reply.plan.deadline_seconds, f"a deadline exceeded after only {seconds:.3f} s: {error}")
            return "deadline_exceeded"
        case code:
            require(code in reply.plan.tolerated, f"refused, though it must be answered: {error}")
            return "refused"


def check_refusal(error: ErrorBody, expected: Refusal) -> None:
    require(expected.code in (None, error.code), f"{expected} expected, not {error}")
    require(
        expected.param is None or (error.param or "").startswith(expected.param), f"{expected} expected, not {error}"
    )
    require(bool(error.message), "an error without a message")


def check_completion(answer: Completion, plan: Plan, model: str) -> None:
    require(answer.model == model, f"answered by {answer.model}")
    require(answer.tier == (plan.body.get("tier") or "standard"), f"served as {answer.tier}")
    require(
        [choice.index for choice in answer.choices] == list(range(plan.choices)), "choices are missing or out of order"
    )
    check_usage(answer.usage, plan)
    for problem in text_problems(answer, plan):
        raise CheckFailed(problem)


def check_usage(usage: Usage, plan: Plan) -> None:
    require(
        usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"total_tokens is not the sum: {usage}"
    )
    require(0 <= usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens, f"more cached than sent: {usage}")
    require(usage.completion_tokens >= plan.choices, f"less than one token per choice: {usage}")
    if plan.max_tokens:
        require(usage.completion_tokens <= plan.choices * plan.max_tokens, f"more than max_tokens: {usage}")


def text_problems(answer: Completion, plan: Plan) -> Iterator[str]:
    entries = 0
    for choice in answer.choices:
        for stop in plan.stops:
            if stop in choice.message.content:
                yield f"the stop {stop!r} is in the answer {choice.message.content!r}"
        requested = plan.top_logprobs is not None
        # In a stream, a choice without text has no chunk that could carry logprobs.
        if (choice.logprobs is not None) != requested and (choice.logprobs or choice.message.content):
            yield "logprobs that were not requested, or none though requested"
        for entry in choice.logprobs.content if choice.logprobs else ():
            entries += 1
            if len(entry.top_logprobs) != plan.top_logprobs or entry.logprob > 1e-6:
                yield f"invalid log-probabilities: {entry}"
    if entries > answer.usage.completion_tokens:
        yield f"{entries} entries of logprobs for {answer.usage.completion_tokens} tokens"


def includes_usage(plan: Plan) -> bool:
    options: dict[str, Any] = plan.body.get("stream_options") or {}
    return bool(options.get("include_usage"))
