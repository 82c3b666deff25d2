"""The fields tools, tool_choice and response_format of a request."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from oruel.contract.kinds import nearest
from oruel.errors import InvalidParameter
from oruel.types import ResponseFormat, Tool, ToolChoice, ToolMode


def build_tools(values: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Raises InvalidParameter for a duplicate name, and for arguments that are no object."""
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
    """Raises InvalidParameter for a function that isn't declared."""
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
    mode: ToolMode = given  # the kind has validated it
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
