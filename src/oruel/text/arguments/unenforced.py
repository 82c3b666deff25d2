"""Finds the keywords of the tools' schemas that a model's call format can't enforce."""

from collections.abc import Iterable

from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter, SchemaRefused, UnsupportedParameter
from oruel.text.arguments.syntax import ArgumentSyntax
from oruel.types import Tool


def describe_unenforced(tools: Iterable[Tool], syntax: ArgumentSyntax) -> tuple[str, ...]:
    """Each as "parameter: keywords", without the keywords that JSON can't enforce either.

    Raises InvalidParameter if no such call can be written, UnsupportedParameter if the tool is strict.
    """
    notes: list[str] = []
    for index, tool in enumerate(tools):
        param = f"tools[{index}].function.parameters"
        keywords = unenforced_keywords_of(param, tool, syntax)
        if keywords and tool.strict:
            raise UnsupportedParameter(
                f"{param} is strict, but this model's call format can't enforce these keywords: {', '.join(keywords)}. "
                "Leave them out, or set strict to false to enforce all others.",
                param=param,
            )
        if keywords:
            notes.append(f"{param}: {' '.join(keywords)}")
    return tuple(notes)


def unenforced_keywords_of(param: str, tool: Tool, syntax: ArgumentSyntax) -> tuple[str, ...]:
    try:
        return syntax.unenforced_keywords(tool.parameters)
    except SchemaRefused as error:
        raise InvalidParameter(f"{param} can't be enforced: {abbreviate(error.message, 400)}.", param=param) from error
