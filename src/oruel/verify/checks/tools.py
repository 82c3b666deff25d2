"""tools, tool_choice and parallel_tool_calls: which functions are called, with which arguments, and in which shape."""

from typing import Any

from oruel.verify.check import Check
from oruel.verify.checks.schema import violation_of_text
from oruel.verify.checks.steps import (
    BUSY,
    ONLY_THOUGHTS,
    STORY,
    combined,
    confirmed,
    plain,
    refusal,
    served,
    streamed,
    told,
)
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply, StreamReply, delta_of
from oruel.verify.verdict import Verdict, cant_tell, differs, honoured, ignored, refused

TOKENS = 200
# Tokens after which a call is not complete, where usage doesn't count it.
SOME_WAY = 10
WEATHER = "What is the weather in Paris?"
TWO_CITIES = "What is the weather in Paris and in Rome? Look up both cities."


def function(name: str, description: str, **properties: Json) -> Json:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "strict": True, "parameters": parameters},
    }


TOOLS = (
    function(
        "get_weather",
        "Get the weather of a city",
        city={"type": "string"},
        unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
    ),
    function("add_numbers", "Add two whole numbers", first={"type": "integer"}, second={"type": "integer"}),
)
NAMES = tuple(tool["function"]["name"] for tool in TOOLS)
SCHEMAS: dict[str, Json] = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}


def named(name: str) -> Json:
    return {"type": "function", "function": {"name": name}}


def request(probe: Probe, prompt: str, **fields: Any) -> Json:
    return {
        "messages": user(prompt),
        "temperature": 0,
        "max_tokens": probe.room(TOKENS),
        "tools": list(TOOLS),
        **fields,
    }


async def check_named(probe: Probe) -> Verdict:
    parts = []
    for name in NAMES:
        reply = await served(probe, **request(probe, STORY, tool_choice=named(name)))
        called = {call.get("name") for call in reply.calls}
        evidence = {"figures": {f"forced {name}": called_or_text(reply)}, "exchanges": (reply.exchange,)}
        if not called:
            parts.append(await without_call(probe, reply, "the named function isn't called", **evidence))
        elif called != {name}:
            parts.append(differs("another function than the named one is called", **evidence))
        else:
            parts.append(honoured(**evidence))
    return combined(parts)


async def without_call(probe: Probe, reply: Reply, how: str, **evidence: Any) -> Verdict:
    """The choice is ignored if the text is that of auto. Other text that max_tokens cuts may be leading to a call."""
    if probe.is_only_thoughts(reply):
        return cant_tell(ONLY_THOUGHTS, **evidence)
    if reply.finish == "length":
        auto = await served(probe, **{**reply.request, "tool_choice": "auto"})
        if auto.whole_text != reply.whole_text:
            tokens = reply.completion_tokens or TOKENS
            return differs(f"no call begins within {tokens} tokens, only text comes", **evidence)
    return ignored(how, **evidence)


def called_or_text(reply: Reply) -> str:
    names = [str(call.get("name")) for call in reply.calls]
    return ", ".join(names) if names else f"text: {reply.text[:30]}"


async def check_required(probe: Probe) -> Verdict:
    reply = await served(probe, **request(probe, STORY, tool_choice="required"))
    evidence = {"figures": {"called": called_or_text(reply)}, "exchanges": (reply.exchange,)}
    if not reply.calls:
        return await without_call(probe, reply, "no function is called", **evidence)
    unknown = [call for call in reply.calls if call.get("name") not in NAMES]
    return differs("a function is called that isn't in tools", **evidence) if unknown else honoured(**evidence)


async def check_none(probe: Probe) -> Verdict:
    auto = await served(probe, **request(probe, WEATHER))
    reply = await served(probe, **request(probe, WEATHER, tool_choice="none"))
    evidence = {
        "figures": {"auto": called_or_text(auto), "none": called_or_text(reply)},
        "exchanges": (reply.exchange,),
    }
    if reply.calls:
        return ignored("a function is called", **evidence)
    if reply.finish == "tool_calls":
        return differs("finish_reason is tool_calls", **evidence)
    return honoured(**evidence) if auto.calls else cant_tell("the model doesn't call with auto either", **evidence)


async def check_arguments(probe: Probe) -> Verdict:
    parts = []
    for name in NAMES:
        for _ in range(2):
            drawn = {"temperature": 1, "seed": probe.seed() if "seed" in probe.facts.accepts else None}
            reply = await served(probe, **request(probe, WEATHER, tool_choice=named(name), **drawn))
            parts.append(judge_arguments(reply))
    return combined(told(parts))


def judge_arguments(reply: Reply) -> Verdict:
    evidence = {"exchanges": (reply.exchange,)}
    if reply.finish == "length" or not reply.calls:
        return cant_tell("no complete call was made", **evidence)
    for call in reply.calls:
        arguments = call.get("arguments")
        if not isinstance(arguments, str):
            return differs("the arguments aren't a string", **evidence)
        if found := violation_of_text(arguments, SCHEMAS.get(str(call.get("name")), {})):
            return differs(f"arguments: {found}", **evidence)
    return honoured(**evidence)


async def check_parallel(probe: Probe) -> Verdict:
    """Several draws, until the model makes two calls where it may."""
    for temperature in (0, 0.7, 1):
        drawn = {"temperature": temperature, "seed": probe.seed() if "seed" in probe.facts.accepts else None}
        may = await served(probe, **request(probe, TWO_CITIES, tool_choice="required", **drawn))
        must_not = await served(
            probe, **request(probe, TWO_CITIES, tool_choice="required", parallel_tool_calls=False, **drawn)
        )
        evidence = {
            "figures": {"calls with true": len(may.calls), "calls with false": len(must_not.calls)},
            "exchanges": (must_not.exchange,),
        }
        if len(must_not.calls) > 1:
            return ignored("false still gives several calls", **evidence)
        if len(may.calls) > 1:
            return honoured(**evidence)
    return cant_tell("the model makes one call at a time anyway", **evidence)


async def check_limit(probe: Probe) -> Verdict:
    most = probe.profile.max_tools
    allowed, beyond = [await send_tools(probe, count) for count in (most, most + 1)]
    if not allowed.ok:
        if "context" in allowed.error_text.lower():
            return cant_tell(f"{most} tools don't fit into the context", exchanges=(allowed.exchange,))
        return refusal(allowed)
    evidence = {"exchanges": (beyond.exchange,)}
    if beyond.ok:
        return differs(f"{most + 1} tools are accepted", **evidence)
    if beyond.status in BUSY or beyond.status >= 500:
        return refused(f"{most + 1} tools: status {beyond.status}", **evidence)
    return honoured(**evidence) if beyond.names("tools") else differs("the refusal doesn't name tools", **evidence)


async def send_tools(probe: Probe, count: int) -> Reply:
    tools = [{"type": "function", "function": {"name": f"f{index}"}} for index in range(count)]
    return await probe.chat(tools=tools, tool_choice="none", max_tokens=4)


async def check_finish(probe: Probe) -> Verdict:
    choices: list[str | Json] = ["required"]
    if probe.profile.named_call_finishes_tool_calls:
        choices.append(named(NAMES[0]))
    return combined([await judge_finish(probe, "tool_calls", tool_choice=choice) for choice in choices])


async def check_truncated(probe: Probe) -> Verdict:
    """Cut at the start, and half-way, when a part of the call has been sent."""
    choice = named(NAMES[0])
    whole = await served(probe, **request(probe, WEATHER, tool_choice=choice))
    if not whole.calls:
        return cant_tell("no call was made", exchanges=(whole.exchange,))
    half = (whole.completion_tokens or 2 * SOME_WAY) // 2
    return combined(
        [await judge_finish(probe, "length", tool_choice=choice, max_tokens=tokens) for tokens in (3, half)]
    )


async def judge_finish(probe: Probe, expected: str, **fields: Any) -> Verdict:
    for answer in (
        await served(probe, **request(probe, WEATHER, **fields)),
        await streamed(probe, **request(probe, WEATHER, **fields)),
    ):
        finish = answer.finish if isinstance(answer, Reply) else finish_of(answer)
        if expected == "tool_calls" and (finish == "length" or (isinstance(answer, Reply) and not answer.calls)):
            return cant_tell("no complete call was made", exchanges=(answer.exchange,))
        if finish != expected:
            where = "" if isinstance(answer, Reply) else " in a stream"
            when = "a call" if expected == "tool_calls" else "a call that max_tokens cuts"
            return differs(f"finish_reason is {finish} after {when}{where}", exchanges=(answer.exchange,))
    return honoured(exchanges=(answer.exchange,))


def finish_of(stream: StreamReply) -> str | None:
    return next((str(one["finish_reason"]) for one in reversed(stream.deltas()) if one.get("finish_reason")), None)


async def check_stream(probe: Probe) -> Verdict:
    fields = request(probe, WEATHER, tool_choice="required")
    whole, stream = await served(probe, **fields), await streamed(probe, **fields)
    evidence = {"exchanges": (stream.exchange,)}
    if not whole.calls or whole.finish == "length":
        return cant_tell("no complete call was made", exchanges=(whole.exchange,))
    pieces = [piece for one in stream.deltas() for piece in delta_of(one).get("tool_calls") or []]
    if not pieces:
        return differs("the call isn't streamed as tool_calls", **evidence)
    calls: dict[int, Json] = {}
    for piece in pieces:
        if how := join(calls, piece):
            return differs(how, **evidence)
    joined = [(call["name"], call["arguments"]) for _, call in sorted(calls.items())]
    if any(violation_of_text(arguments, {}) for _, arguments in joined):
        return differs("the joined arguments aren't JSON", **evidence)
    again = await plain(probe, **fields)
    if again.calls != whole.calls:
        return honoured(**evidence)
    if joined != [(call.get("name"), call.get("arguments")) for call in whole.calls]:
        return differs("the joined calls differ from those unstreamed", **evidence)
    return honoured(**evidence)


def join(calls: dict[int, Json], piece: Json) -> str | None:
    """Adds a piece to its call as clients do. Returns what is wrong with it."""
    index, part = piece.get("index"), piece.get("function") or {}
    if not isinstance(index, int):
        return "a piece of a call has no index"
    if index not in calls:
        if not piece.get("id") or not part.get("name"):
            return "the first piece of a call lacks its id or name"
        calls[index] = {"name": part["name"], "arguments": ""}
    elif part.get("name"):
        return "the name is sent more than once"
    calls[index]["arguments"] += part.get("arguments") or ""
    return None


CHECKS: tuple[Check, ...] = (
    Check(
        "tool_choice.named",
        "tool_choice",
        "Is the function called that tool_choice names?",
        "Asks for a story, and names each of two functions in turn.",
        tokens=550,
        run=confirmed(check_named),
    ),
    Check(
        "tool_choice.required",
        "tool_choice",
        "Does required lead to a call?",
        "Asks for a story, with two functions that have nothing to do with it.",
        tokens=260,
        run=confirmed(check_required),
    ),
    Check(
        "tool_choice.none",
        "tool_choice",
        "Does none prevent calls?",
        "Asks a question for which the model calls a function if it may.",
        tokens=350,
        run=check_none,
    ),
    Check(
        "tools.arguments",
        "tools",
        "Are the arguments JSON that matches the function's strict schema?",
        "Forces calls at temperature 1 of functions whose schemas have an enum, integers, required properties and no "
        "additional ones.",
        tokens=1200,
        run=check_arguments,
    ),
    Check(
        "parallel_tool_calls",
        "parallel_tool_calls",
        "Does false lead to one call only?",
        "Asks for two calls, and compares true with false.",
        tokens=1000,
        run=check_parallel,
    ),
    Check(
        "tools.limit",
        "tools",
        "Are 128 tools accepted, and 129 refused by name?",
        "Sends that many functions with tool_choice none.",
        tokens=3000,
        run=check_limit,
    ),
    Check(
        "tools.finish_reason",
        "tools",
        "Is finish_reason tool_calls after a call?",
        "Forces a call, unstreamed and streamed. OpenAI's profile says nothing about a named function.",
        tokens=1050,
        run=confirmed(check_finish),
    ),
    Check(
        "tools.truncated",
        "tools",
        "Is finish_reason length if max_tokens cuts a call?",
        "Forces a call with max_tokens 3, and with half of its length, unstreamed and streamed.",
        tokens=1200,
        run=confirmed(check_truncated),
    ),
    Check(
        "tools.stream",
        "tools",
        "Do the pieces of a streamed call join to the call unstreamed?",
        "Joins them as clients do: id and name first, then arguments by index.",
        tokens=800,
        run=confirmed(check_stream),
    ),
)
