"""Finds the keywords of the tools' schemas that can't be enforced in arguments written as tags."""

from collections.abc import Iterable

from oruel.constraints.schema import unenforceable_keywords
from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter, SchemaRefused, UnsupportedParameter
from oruel.text.arguments.tagged import ToolArguments
from oruel.text.formats.calls import TagSyntax
from oruel.types import Tool


def left_out_of_tags(tools: Iterable[Tool], tags: TagSyntax) -> tuple[str, ...]:
    """Each as "parameter: keywords", without the keywords that JSON can't enforce either.

    Raises InvalidParameter if no such call can be written, UnsupportedParameter if the tool is strict.
    """
    notes: list[str] = []
    for index, tool in enumerate(tools):
        param = f"tools[{index}].function.parameters"
        keywords = keywords_left_out(param, tool, tags)
        if keywords and tool.strict:
            raise UnsupportedParameter(
                f"{param} is strict, but this model writes arguments as tags, for which these keywords can't be "
                f"enforced: {', '.join(keywords)}. Leave them out, or set strict to false to enforce all others.",
                param=param,
            )
        if keywords:
            notes.append(f"{param}: {' '.join(keywords)}")
    return tuple(notes)


def keywords_left_out(param: str, tool: Tool, tags: TagSyntax) -> list[str]:
    try:
        arguments = ToolArguments(tool.parameters)
        for way in (way for argument in arguments.each for way in argument.ways(tags)):
            unenforceable_keywords(way.schema)
        known = unenforceable_keywords(tool.parameters) if arguments.left_out else ()
    except SchemaRefused as error:
        raise InvalidParameter(f"{param} can't be enforced: {abbreviate(error.message, 400)}.", param=param) from error
    return [keyword for keyword in arguments.left_out if keyword not in known]
