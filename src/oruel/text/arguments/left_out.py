"""Finds the keywords of the tools' schemas that can't be enforced in arguments written as tags."""

from collections.abc import Iterable

from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter, SchemaRefused, UnsupportedParameter
from oruel.text.arguments.syntax import ArgumentSyntax
from oruel.types import Tool


def left_out_of_syntax(tools: Iterable[Tool], syntax: ArgumentSyntax) -> tuple[str, ...]:
    """Each as "parameter: keywords", without the keywords that JSON can't enforce either.

    Raises InvalidParameter if no such call can be written, UnsupportedParameter if the tool is strict.
    """
    notes: list[str] = []
    for index, tool in enumerate(tools):
        param = f"tools[{index}].function.parameters"
        keywords = keywords_left_out(param, tool, syntax)
        if keywords and tool.strict:
            raise UnsupportedParameter(
                f"{param} is strict, but this model writes arguments as tags, which can't be held to these keywords: "
                f"{', '.join(keywords)}. Leave them out, or say strict: false: then all the others are held to.",
                param=param,
            )
        if keywords:
            notes.append(f"{param}: {' '.join(keywords)}")
    return tuple(notes)


def keywords_left_out(param: str, tool: Tool, syntax: ArgumentSyntax) -> tuple[str, ...]:
    try:
        return syntax.unenforced_keywords(tool.parameters)
    except SchemaRefused as error:
        raise InvalidParameter(f"{param} can't be enforced: {abbreviate(error.message, 400)}.", param=param) from error
