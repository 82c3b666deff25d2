"""response_format: valid JSON where sampling would ruin it, at high temperature, with penalties, in small budgets."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.schema import violation_of_text
from oruel.verify.checks.steps import BUSY, ONLY_THOUGHTS, combined, plain, refusal, told
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply
from oruel.verify.verdict import Outcome, Verdict, cant_tell, differs, honoured, ignored, refused

PROMPT = "Describe a cat as a JSON object."
TRIES = 6
TOKENS = 200
SMALL_BUDGETS = range(5, 41)
# The smallest documents below have fewer tokens than this, whatever the tokenizer.
CLOSABLE = 24
ANY_OBJECT: Json = {"type": "object"}
CAT: Json = {
    "type": "object",
    "properties": {
        "lives": {"type": "integer"},
        "colour": {"type": "string", "enum": ["black", "white", "ginger"]},
        "asleep": {"type": "boolean"},
    },
    "required": ["lives", "colour", "asleep"],
    "additionalProperties": False,
}
# Its documents are long at high temperature, but the smallest one is tiny.
OPEN_ENDED: Json = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def response_format(schema: Json) -> Json:
    if schema is ANY_OBJECT:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "document", "strict": True, "schema": schema}}


def wild(probe: Probe, schema: Json, tokens: int) -> Json:
    """A request whose sampling would break JSON if nothing enforced it."""
    accepted = {
        "seed": probe.seed(),
        "frequency_penalty": 2,
        "presence_penalty": 2,
    }
    return {
        "messages": user(PROMPT),
        "temperature": 2,
        "max_tokens": tokens,
        "response_format": response_format(schema),
        **{name: value for name, value in accepted.items() if name in probe.facts.accepts},
    }


async def check_valid(schema: Json, probe: Probe) -> Verdict:
    await plain(probe, messages=user(PROMPT), max_tokens=4)
    replies = await probe.endpoint.chats([wild(probe, schema, probe.room(TOKENS)) for _ in range(TRIES)])
    must_close = probe.profile.closes_json
    return combined(told(failure(reply, replies) or judge_text(probe, reply, schema, must_close) for reply in replies))


def failure(reply: Reply, replies: Sequence[Reply]) -> Verdict | None:
    """An error of the server, while it serves other answers of the same kind, is no refusal."""
    if not reply.fails or not any(other.ok for other in replies):
        return None
    return differs(f"some answers fail with status {reply.status}", exchanges=(reply.exchange,))


async def check_budgets(schema: Json, probe: Probe) -> Verdict:
    """Once a budget holds a document, every larger one must."""
    await plain(probe, messages=user(PROMPT), max_tokens=4)
    replies = await probe.endpoint.chats([wild(probe, schema, tokens) for tokens in SMALL_BUDGETS])
    if not probe.profile.closes_json:
        return combined(failure(reply, replies) or judge_cut(reply, schema) for reply in replies)
    # How much of a budget thoughts leave for the document isn't known.
    must_close = not probe.facts.reasons
    parts = [failure(reply, replies) or judge_text(probe, reply, schema, must_close) for reply in replies]
    by_budget = list(zip(SMALL_BUDGETS, parts, strict=True))
    least = min((tokens for tokens, part in by_budget if part.outcome is Outcome.HONOURED), default=CLOSABLE)
    figures: dict[str, float | int | str] = {"smallest budget with a document": least}
    found = combined(part for tokens, part in by_budget if tokens >= min(least, CLOSABLE))
    return Verdict(found.outcome, found.how, figures, exchanges=found.exchanges)


def judge_text(probe: Probe, reply: Reply, schema: Json, must_close: bool) -> Verdict:
    if probe.is_only_thoughts(reply):
        return cant_tell(ONLY_THOUGHTS, exchanges=(reply.exchange,))
    return judge(reply, schema, must_close)


def judge(reply: Reply, schema: Json, must_close: bool) -> Verdict:
    if not reply.ok:
        return refusal(reply)
    evidence = {"exchanges": (reply.exchange,)}
    found = violation_of_text(reply.text, schema)
    if found is None:
        return honoured(**evidence)
    if reply.finish == "length" and not must_close:
        return cant_tell("max_tokens cut the document", **evidence)
    return fault(reply, found, **evidence)


def judge_cut(reply: Reply, schema: Json) -> Verdict:
    """A document may be cut, but then finish_reason must say so."""
    found = judge(reply, schema, must_close=False)
    return honoured(exchanges=found.exchanges) if reply.ok and reply.finish == "length" else found


def fault(reply: Reply, found: str, **evidence: Any) -> Verdict:
    text = reply.text
    if text.lstrip().startswith("```"):
        return differs("the document is wrapped in Markdown", **evidence)
    if text.strip() and not text.lstrip().startswith("{"):
        return ignored("the text isn't a JSON object", **evidence)
    if len(text) > 2 * len(text.strip()) + 8:
        return differs("white space fills the budget", **evidence)
    if found != "it isn't valid JSON":
        return differs(f"the schema is broken: {found}", **evidence)
    if reply.finish == "length":
        return differs("a document cut by max_tokens isn't closed", **evidence)
    return differs(f"the JSON is invalid, although finish_reason is {reply.finish}", **evidence)


async def check_mention(probe: Probe) -> Verdict:
    reply = await probe.chat(max_tokens=8, response_format={"type": "json_object"})
    evidence = {"exchanges": (reply.exchange,)}
    if reply.ok:
        return differs("accepted, although no message mentions JSON", **evidence)
    if reply.status in BUSY or reply.status >= 500:
        return refused(f"status {reply.status}", **evidence)
    said = reply.error_text.lower()
    return honoured(**evidence) if "json" in said else differs("the refusal doesn't say why", **evidence)


CHECKS: tuple[Check, ...] = (
    Check(
        "response_format.json_object",
        "response_format",
        "Does json_object give a valid JSON object at every temperature, with penalties?",
        f"Draws {TRIES} answers at temperature 2 with both penalties at 2, and parses them.",
        tokens=700,
        run=partial(check_valid, ANY_OBJECT),
    ),
    Check(
        "response_format.json_schema",
        "response_format",
        "Does a strict json_schema hold at every temperature, with penalties?",
        f"Draws {TRIES} answers at temperature 2 with both penalties at 2, for a schema with an integer, an enum, "
        "required properties and no additional ones.",
        tokens=400,
        run=partial(check_valid, CAT),
    ),
    Check(
        "response_format.json_object_cut",
        "response_format",
        "Is a JSON object complete at every small max_tokens?",
        "Draws an answer at temperature 2 for each max_tokens from 5 to 40. Oru'el's profile wants valid JSON from the "
        "first budget on that holds any; OpenAI's allows a cut text if finish_reason is length.",
        tokens=1300,
        run=partial(check_budgets, ANY_OBJECT),
    ),
    Check(
        "response_format.json_schema_cut",
        "response_format",
        "Does a strict json_schema hold at every small max_tokens?",
        "The same for a schema with a single string, which may end at any time.",
        tokens=1300,
        run=partial(check_budgets, OPEN_ENDED),
    ),
    Check(
        "response_format.mention",
        "response_format",
        "Is json_object refused if no message mentions JSON?",
        "Sends such a request: a model that isn't told to write JSON may write white space without end.",
        tokens=10,
        run=check_mention,
    ),
)
