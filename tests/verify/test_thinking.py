"""Models that think before they answer are told apart, and judged by their answers."""

from pathlib import Path

import pytest

from oruel.api.chat.body import ChatCall
from oruel.errors import InvalidParameter
from oruel.verify.checks.logprobs import fault_after_thoughts
from oruel.verify.checks.streaming import judge_equal
from oruel.verify.profile import OPENAI
from oruel.verify.reply import Chunk, Facts, Json, Reply, StreamReply
from oruel.verify.survey import survey
from tests.cli.command_line import CommandLine
from tests.verify.asking import verdict_of
from tests.verify.in_process import endpoint_of
from tests.verify.scripted_endpoint import always, completion, scripted_endpoint
from tests.verify.toy_server import ToyServer
from tests.verify.toy_thinking import Thinking, ThinkingAside, ThinkingInSecret, ThinkingUntold

pytestmark = pytest.mark.anyio


async def facts_of(server: ToyServer) -> Facts:
    async with endpoint_of(server) as endpoint:
        return await survey(endpoint)


@pytest.mark.parametrize(
    ("server", "reasons", "hides"),
    [
        (ToyServer, False, False),
        (Thinking, True, False),
        (ThinkingAside, True, False),
        (ThinkingInSecret, True, True),
        (ThinkingUntold, True, True),
    ],
)
async def test_thinkers_are_told_apart(server: type[ToyServer], reasons: bool, hides: bool) -> None:
    facts = await facts_of(server())
    assert (facts.reasons, facts.hides_thoughts) == (reasons, hides)


class OneNameForTheLength(ThinkingInSecret):
    """OpenAI's models that think."""

    def read(self, body: Json) -> ChatCall:
        if "max_tokens" in body:
            raise InvalidParameter("Use 'max_completion_tokens' instead of 'max_tokens'.", param="max_tokens")
        return super().read(body)


async def test_an_endpoint_that_refuses_max_tokens_gets_its_other_name() -> None:
    verdicts = [await verdict_of(name, OneNameForTheLength(1), OPENAI) for name in ("seed", "stop", "max_tokens")]
    assert [verdict.outcome for verdict in verdicts] == ["honoured", "honoured", "refused"]
    assert (await verdict_of("max_completion_tokens", OneNameForTheLength(1), OPENAI)).outcome == "honoured"


async def test_json_that_max_tokens_leaves_no_room_for_is_no_fault_of_a_thinker() -> None:
    verdict = await verdict_of("response_format.json_object_cut", Thinking())
    assert verdict.how == "max_tokens ends the answer while the model still thinks"


def answer(content: str | None, tokens: list[str], **message: str) -> Reply:
    entries = [{"token": token, "logprob": -1.0, "bytes": list(token.encode())} for token in tokens]
    choice: Json = {"message": {"content": content, **message}, "logprobs": {"content": entries}}
    return Reply({}, 200, {}, {"choices": [choice]})


THOUGHTS = ["Hm", ".", "</think>", "\n\n"]


@pytest.mark.parametrize(
    ("content", "tokens", "fault"),
    [
        ("Paris.", [*THOUGHTS, "Paris", "."], None),
        ("Paris.", ["Paris", "."], None),
        (None, ["Hm", "."], None),
        ("Paris.", [*THOUGHTS, "Paris", ".", "<|end|>"], "the end token has an entry"),
        ("Paris.", [*THOUGHTS, "Rome", "."], "the tokens' bytes aren't the text"),
    ],
)
def test_entries_of_thoughts_may_come_before_those_of_the_text(
    content: str | None, tokens: list[str], fault: str | None
) -> None:
    assert fault_after_thoughts(answer(content, tokens, reasoning="Hm.")) == fault


def test_the_tokens_of_the_text_come_last() -> None:
    reply = answer("Paris.", [*THOUGHTS, "Paris", ".", "<|end|>"], reasoning_content="Hm.")
    assert [token.text for token in reply.text_tokens()] == ["Paris", "."]
    assert answer("Rome", [*THOUGHTS, "Paris"], reasoning_content="Hm.").text_tokens() == []
    assert len(answer("Rome", ["Paris"]).text_tokens()) == 1


@pytest.mark.parametrize(
    ("thoughts", "content", "verdict"),
    [
        ("\nHm.\n", "Paris.", "honoured: "),
        ("Hm", "Paris.", "differs: now, the thoughts differ from those unstreamed"),
        ("", "Hm.\n\nParis.", "differs: now, the thoughts come as text"),
    ],
)
def test_thoughts_in_streams_are_those_unstreamed(thoughts: str, content: str, verdict: str) -> None:
    deltas: list[Json] = [{"reasoning_content": thoughts}, {"content": content}]
    chunks = tuple(Chunk({"choices": [{"index": 0, "delta": delta}]}, 0.0) for delta in deltas)
    found = judge_equal(StreamReply({}, 200, {}, chunks, done=True), answer("Paris.", [], reasoning="Hm."), "now")
    assert f"{found.outcome}: {found.how}" == verdict


def test_a_run_says_that_thoughts_cost_more(tmp_path: Path) -> None:
    body = completion()
    body["choices"][0]["message"]["reasoning_content"] = "Hm."
    with scripted_endpoint(always(200, body)) as endpoint:
        done = CommandLine(tmp_path).call("verify", endpoint.url, "--only", "usage.total")
    assert b"The model thinks before it answers: up to 2,000 tokens more" in done.stderr
