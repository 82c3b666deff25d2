"""The fields tools, tool_choice and response_format of a request."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from oruel.contract.kinds import nearest
from oruel.errors import InvalidParameter
from oruel.types import ResponseFormat, Tool, ToolChoice, ToolMode


def build_tools(values: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Raises InvalidParameter for a duplicate name, or for parameters whose type is not object."""
    functions = [tool["function"] for tool in values["tools"] or ()]
    tools = tuple(
        Tool(f["name"], f.get("description", ""), f.get("parameters", {}), f.get("strict", False)) for f in functions
    )
    for index, tool in enumerate(tools):
        if tool.parameters.get("type", "object") != "object":
            where = f"tools[{index}].function.parameters.type"
            raise InvalidParameter(f'{where} must be "object", since arguments are named.', param=where)
    name, count = Counter(tool.name for tool in tools).most_common(1)[0] if tools else ("", 1)
    if count > 1:
        raise InvalidParameter(
            f'tools declares "{name}" {count} times. Give each function a different name.', param="tools"
        )
    return tools


def build_choice(values: Mapping[str, Any], tools: tuple[Tool, ...]) -> ToolChoice:
    """Raises InvalidParameter for a function that is not declared."""
    names = tuple(tool.name for tool in tools)
    given: Any = values["tool_choice"] or ("auto" if tools else "none")
    if isinstance(given, dict):
        name = given["function"]["name"]
        if name not in names:
            declared = ", ".join(names[:8]) or "none"
            raise InvalidParameter(
                f'tool_choice names the function "{name}", but tools declares only {declared}.{nearest(name, names)}',
                param="tool_choice",
            )
        return ToolChoice("required", (name,))
    if given == "required" and not tools:
        raise InvalidParameter(
            'tool_choice is "required", but tools is empty. Declare functions in tools.', param="tool_choice"
        )
    mode: ToolMode = given  # the kind has validated it
    return ToolChoice(mode, names) if tools else ToolChoice()


def build_format(values: Mapping[str, Any]) -> ResponseFormat:
    given = values["response_format"]
    details = given.get("json_schema", {})
    return ResponseFormat(
        given["type"],
        details.get("schema", {}),
        details.get("strict", False),
        details.get("name", ""),
        details.get("description", ""),
    )
