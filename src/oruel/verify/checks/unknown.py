"""Unknown and misspelt fields: refused by name, or dropped in silence?"""

import re
from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.steps import BUSY, combined_cases, plain, refusal
from oruel.verify.probe import Probe
from oruel.verify.reply import Reply
from oruel.verify.verdict import Verdict, differs, honoured, ignored

# The misspelt name, the value, and the name that was meant.
MISSPELT: tuple[tuple[str, Any, str], ...] = (
    ("temprature", 0.5, "temperature"),
    ("max_token", 2, "max_tokens"),
    ("topP", 0.5, "top_p"),
    ("frequency_penality", 0.5, "frequency_penalty"),
)
UNKNOWN: tuple[tuple[str, Any], ...] = (("frobnicate", 1), ("oruel_verify", {"asks": True}))
# The field inside another one that is unknown there, and the fields to send.
NESTED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("include_usages", {"stream": True, "stream_options": {"include_usages": True}}),
    ("json_objekt", {"response_format": {"type": "json_objekt"}}),
    ("requird", {"tool_choice": "requird", "tools": [{"type": "function", "function": {"name": "f"}}]}),
)
REPORTS_IGNORED = "x-oruel-ignored"


def judge(probe: Probe, name: str, reply: Reply, accepted: bool) -> Verdict:
    evidence = {"exchanges": (reply.exchange,)}
    if reply.status in BUSY:
        return refusal(reply)
    if not accepted:
        if reply.status >= 500:
            return differs(f"fails with status {reply.status}", **evidence)
        return honoured(**evidence) if reply.names(name) else differs("the refusal doesn't name it", **evidence)
    if not probe.profile.refuses_unknown:
        return honoured(**evidence)
    if name in reply.headers.get(REPORTS_IGNORED, ""):
        return ignored("dropped, which a header reports", **evidence)
    return ignored("dropped in silence", **evidence)


async def check_unknown(probe: Probe) -> Verdict:
    await plain(probe, max_tokens=4)
    cases = []
    for name, value in UNKNOWN:
        reply = await probe.chat(max_tokens=4, **{name: value})
        cases.append((name, judge(probe, name, reply, reply.ok)))
    return combined_cases(cases)


async def check_misspelt(probe: Probe) -> Verdict:
    await plain(probe, max_tokens=4)
    cases = []
    for name, value, meant in MISSPELT:
        reply = await probe.chat(max_tokens=4, **{name: value})
        cases.append((name, judge(probe, name, reply, reply.ok)))
        if probe.profile.suggests_names and reply.names(name) and not re.search(rf"\b{meant}\b", reply.error_text):
            cases.append((name, differs(f"the refusal doesn't suggest {meant}", exchanges=(reply.exchange,))))
    return combined_cases(cases)


async def check_nested(probe: Probe) -> Verdict:
    await plain(probe, max_tokens=4)
    cases = []
    for name, fields in NESTED:
        if "stream" in fields:
            stream = await probe.endpoint.stream(max_tokens=4, **fields)
            reply = stream.refusal or Reply(stream.request, stream.status, stream.headers, stream.exchange.answer)
            cases.append((name, judge(probe, name, reply, stream.ok)))
        else:
            reply = await probe.chat(max_tokens=4, **fields)
            cases.append((name, judge(probe, name, reply, reply.ok)))
    return combined_cases(cases)


CHECKS: tuple[Check, ...] = (
    Check(
        "unknown",
        "unknown fields",
        "Is a field that the endpoint doesn't know refused by name?",
        "Sends requests with an invented field. An answer with status 200 shows that it was dropped.",
        tokens=20,
        run=check_unknown,
    ),
    Check(
        "unknown.misspelt",
        "unknown fields",
        "Is a misspelt parameter refused by name?",
        "Sends temprature, max_token and the like. An answer with status 200 shows that the user's setting was "
        "dropped. Oru'el's profile also expects the right name in the refusal.",
        tokens=20,
        run=check_misspelt,
    ),
    Check(
        "unknown.nested",
        "unknown fields",
        "Are unknown names inside stream_options, response_format and tool_choice refused?",
        "Sends one misspelt name inside each of them.",
        tokens=20,
        run=check_nested,
    ),
)
