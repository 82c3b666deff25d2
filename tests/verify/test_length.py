"""How the length of an answer is judged by what the endpoint reports of it."""

import pytest

from oruel.verify.checks.length import generated, judge_length, names_length
from oruel.verify.profile import OPENAI
from oruel.verify.reply import Json, Reply
from tests.verify.asking import verdict_of
from tests.verify.faults_answers import OverflowRefused


def answer(text: str, *, entries: int = 0, usage: int | None = None, **message: str) -> Reply:
    content = [{"token": "a", "logprob": -1.0}] * entries
    choice: Json = {
        "message": {"content": text, **message},
        "finish_reason": "length",
        "logprobs": {"content": content},
    }
    return Reply({}, 200, {}, {"choices": [choice], "usage": {"completion_tokens": usage} if usage else None})


def test_log_probabilities_count_the_tokens_unless_the_model_thought() -> None:
    assert generated(answer("one", entries=7, usage=8)) == 7
    assert generated(answer("one", usage=8)) == 8
    assert generated(answer("one", entries=7, usage=40, reasoning_content="Hm.")) == 40
    assert generated(answer("one")) is None


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (answer("one", entries=7), "honoured: "),
        (answer("one", entries=8), "differs: 7 gives 8 tokens"),
        (answer("one", usage=6), "differs: 7 gives 6 tokens"),
        (answer("one two three", usage=24), "ignored: 7 doesn't shorten the text"),
        (answer("one two three"), "ignored: the text isn't shortened"),
        (answer("one"), "can't tell: neither log-probabilities nor usage count the tokens"),
    ],
)
def test_a_length_is_exact_or_its_difference_is_told(reply: Reply, verdict: str) -> None:
    found = judge_length(reply, 7, answer("one two three", usage=24))
    assert f"{found.outcome}: {found.how}" == verdict


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 131072",
        "This model's maximum context length is 4096 tokens.",
        "Exceeds the context size",
    ],
)
def test_refusals_of_a_length_are_recognised(message: str) -> None:
    assert names_length(Reply({}, 400, {}, {"error": {"message": message}}))
    assert not names_length(Reply({}, 400, {}, {"error": {"message": "Bad request."}}))


@pytest.mark.anyio
async def test_openai_s_profile_allows_a_max_tokens_above_the_context_to_be_refused() -> None:
    assert (await verdict_of("max_tokens.above_context", OverflowRefused(), OPENAI)).outcome == "honoured"
