"""tools, tool_choice and response_format as a request gives them, and what of their schemas can be enforced."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from oruel.constraints.grammar import unclosable
from oruel.constraints.schema import left_out
from oruel.errors import InvalidParameter, SchemaRefused, UnsupportedParameter
from oruel.kinds import abbreviate, nearest
from oruel.types import ChatRequest, ResponseFormat, Tool, ToolChoice, ToolMode

MAX_SCHEMA_CHARACTERS = 2**18

# One at a time: each holds the interpreter for moments, in which no stream goes on.
EXAMINER = ThreadPoolExecutor(1, thread_name_prefix="examiner")


def build_tools(values: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Raises InvalidParameter for a name that is given twice, and for arguments that are no object."""
    functions = [tool["function"] for tool in values["tools"] or ()]
    tools = tuple(
        Tool(f["name"], f.get("description", ""), f.get("parameters", {}), f.get("strict", False)) for f in functions
    )
    for index, tool in enumerate(tools):
        if tool.parameters.get("type", "object") != "object":
            where = f"tools[{index}].function.parameters.type"
            raise InvalidParameter(f'{where} must be "object": a call has named arguments.', param=where)
    name, count = Counter(tool.name for tool in tools).most_common(1)[0] if tools else ("", 1)
    if count > 1:
        raise InvalidParameter(
            f'tools declares "{name}" {count} times. Give each function a name of its own.', param="tools"
        )
    return tools


def build_choice(values: Mapping[str, Any], tools: tuple[Tool, ...]) -> ToolChoice:
    """Raises InvalidParameter where it asks for a function that isn't declared."""
    names = tuple(tool.name for tool in tools)
    given: Any = values["tool_choice"] or ("auto" if tools else "none")
    if isinstance(given, dict):
        name = given["function"]["name"]
        if name not in names:
            declared = ", ".join(names[:8]) or "none"
            raise InvalidParameter(
                f'tool_choice names the function "{name}", but tools declares {declared}.{nearest(name, names)}',
                param="tool_choice",
            )
        return ToolChoice("required", (name,))
    if given == "required" and not tools:
        raise InvalidParameter(
            "tool_choice is required, but there are no tools. Declare them in tools.", param="tool_choice"
        )
    mode: ToolMode = given  # its kind has made sure
    return ToolChoice(mode, names) if tools else ToolChoice()


def build_format(values: Mapping[str, Any]) -> ResponseFormat:
    given = values["response_format"]
    described = given.get("json_schema", {})
    return ResponseFormat(
        given["type"],
        described.get("schema", {}),
        described.get("strict", False),
        described.get("name", ""),
        described.get("description", ""),
    )


async def check_schemas(request: ChatRequest) -> tuple[str, ...]:
    """What of the schemas is not enforced, each as "parameter: keywords". Off the event loop, as it may take a second.

    Raises InvalidParameter for what is no schema, UnsupportedParameter where all of one was to hold and can't.
    """
    schemas = list(described(request))
    if not schemas:
        return ()
    size = sum(len(json.dumps(schema)) for _, schema, _ in schemas)
    if size > MAX_SCHEMA_CHARACTERS:
        param = schemas[0][0].partition("[")[0].partition(".")[0]
        raise InvalidParameter(
            f"The JSON Schemas in {param} come to {size} characters; at most {MAX_SCHEMA_CHARACTERS} are taken.",
            param=param,
        )
    loop = asyncio.get_running_loop()
    return tuple([note for schema in schemas if (note := await loop.run_in_executor(EXAMINER, check_schema, *schema))])


def described(request: ChatRequest) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """The schemas that the answer will be held to, with their place and whether all of each has to hold."""
    wanted = request.response_format
    if wanted.type == "json_schema":
        yield "response_format.json_schema.schema", wanted.schema, wanted.strict
    for index, tool in enumerate(request.tools):
        if tool.parameters:
            yield f"tools[{index}].function.parameters", tool.parameters, tool.strict


def check_schema(param: str, schema: Mapping[str, Any], strict: bool) -> str:
    try:
        keywords = left_out(schema)
        if param.startswith("response_format"):
            # Calls are never completed for want of tokens; documents are.
            keywords = tuple(sorted({*keywords, *unclosable(schema)}))
    except SchemaRefused as error:
        raise InvalidParameter(f"{param} can't be enforced: {abbreviate(error.message, 400)}.", param=param) from error
    if keywords and strict:
        raise UnsupportedParameter(
            f"{param} is strict, but of its keywords these can't be enforced, or not within max_tokens: "
            f"{', '.join(keywords)}. Leave them out, "
            "or say strict: false: then all the others are.",
            param=param,
        )
    return f"{param}: {' '.join(keywords)}" if keywords else ""
