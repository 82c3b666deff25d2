"""What the text of an answer in JSON mode shows, and what a profile allows."""

from dataclasses import replace

import pytest

from oruel.verify.checks.json_mode import ANY_OBJECT, CAT, judge, judge_cut
from oruel.verify.profile import OPENAI
from oruel.verify.reply import Reply
from tests.verify.asking import verdict_of
from tests.verify.faults_formats import JsonTruncated

GOOD = '{"lives": 9, "colour": "black", "asleep": true}'


def answer(text: str, finish: str = "stop") -> Reply:
    return Reply({}, 200, {}, {"choices": [{"message": {"content": text}, "finish_reason": finish}]})


@pytest.mark.parametrize(
    ("text", "finish", "verdict"),
    [
        (GOOD, "stop", "honoured: "),
        (
            GOOD.replace("black", "green"),
            "stop",
            "differs: the schema is broken: colour is not one of its enum's values",
        ),
        (GOOD.replace("9", "9.5"), "stop", "differs: the schema is broken: lives is not of type integer"),
        (GOOD.replace("9", "true"), "stop", "differs: the schema is broken: lives is not of type integer"),
        (GOOD[:20], "length", "differs: a document cut by max_tokens isn't closed"),
        (GOOD[:20], "stop", "differs: the JSON is invalid, although finish_reason is stop"),
        ("{" + "\n" * 90, "length", "differs: white space fills the budget"),
        (f"```json\n{GOOD}\n```", "stop", "differs: the document is wrapped in Markdown"),
        (f"Sure! {GOOD}", "stop", "ignored: the text isn't a JSON object"),
        ("[]", "stop", "ignored: the text isn't a JSON object"),
    ],
)
def test_the_text_names_the_fault(text: str, finish: str, verdict: str) -> None:
    found = judge(answer(text, finish), CAT, must_close=True)
    assert f"{found.outcome}: {found.how}" == verdict


def test_where_documents_may_be_cut_finish_reason_must_say_so() -> None:
    assert judge_cut(answer('{"a": ', "length"), ANY_OBJECT).outcome == "honoured"
    assert judge_cut(answer('{"a": ', "stop"), ANY_OBJECT).outcome == "differs"


@pytest.mark.anyio
async def test_openai_s_profile_allows_documents_that_max_tokens_cuts() -> None:
    assert (await verdict_of("response_format.json_object_cut", JsonTruncated(), OPENAI)).outcome == "honoured"
    closes = replace(OPENAI, closes_json=True)
    assert (await verdict_of("response_format.json_object_cut", JsonTruncated(), closes)).outcome == "differs"
