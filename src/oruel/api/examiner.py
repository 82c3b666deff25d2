"""Finds the keywords in a request's schemas that can't be enforced. Caches results; costly schemas run in a job."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from oruel.constraints.closing.first_end import left_out_of_arguments, left_out_of_document
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.weight import weights_of
from oruel.contract.kinds import abbreviate
from oruel.errors import InvalidParameter, SchemaRefused, UnsupportedParameter
from oruel.jobs.answer_cache import AnswerCache
from oruel.jobs.base import Jobs, Tokenizers
from oruel.types import ChatRequest

MAX_SCHEMA_CHARACTERS = 2**18
LIGHT_CHARACTERS, LIGHT_UNITS = 2**12, 40
LARGE_NUMBER = re.compile("[0-9]{3}")


class Written(msgspec.Struct, frozen=True):
    """A schema as JSON text. `closes`: its document has to be completed within max_tokens, unlike a tool call."""

    schema: str
    closes: bool


EXAMPLE = Written('{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}', True)


class Finding(msgspec.Struct, frozen=True):
    """The keywords that can't be enforced, and the words that mean nothing in any draft. `fault`: why the schema as a
    whole can't be enforced, if so.
    """

    keywords: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    fault: str = ""


class Place(msgspec.Struct, frozen=True):
    """A schema and the parameter that contains it. `strict`: every keyword must be enforced."""

    param: str
    strict: bool
    written: Written


class Examiner:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._found: AnswerCache[Finding] = AnswerCache()

    async def examine(self, request: ChatRequest) -> tuple[str, ...]:
        """Returns what of each schema is not enforced, as "parameter: keywords" and "parameter: unknown words".

        Raises InvalidParameter for an invalid schema, UnsupportedParameter for a strict schema that can't be enforced,
        and what Jobs.run raises.
        """
        places = list(places_in(request))
        findings = await self._findings(places, request.account)
        return tuple(note for place in places for note in notes_on(place, findings[place.written]))

    async def _findings(self, places: Sequence[Place], account: str) -> Mapping[Written, Finding]:
        found = {place.written: self._found.get(cache_key(place.written)) for place in places}
        unknown = [written for written, finding in found.items() if finding is None]
        if unknown:
            param = next(place.param for place in places if place.written in unknown)
            answers = (
                list(map(examine_schema, unknown))
                if are_light(unknown)
                else await self._jobs.run(examine_schemas, unknown, kind="schema", account=account, param=root(param))
            )
            for written, finding in zip(unknown, answers, strict=True):
                self._found.keep(cache_key(written), finding)
                found[written] = finding
        return {written: finding for written, finding in found.items() if finding is not None}


def has_schemas(request: ChatRequest) -> bool:
    return request.response_format.type == "json_schema" or any(tool.parameters for tool in request.tools)


def places_in(request: ChatRequest) -> Iterator[Place]:
    """The schemas that will constrain the answer."""
    wanted = request.response_format
    if wanted.type == "json_schema":
        yield Place("response_format.json_schema.schema", wanted.strict, Written(json.dumps(wanted.schema), True))
    for index, tool in enumerate(request.tools):
        if tool.parameters:
            # A call that max_tokens cuts off is not completed.
            written = Written(json.dumps(tool.parameters), False)
            yield Place(f"tools[{index}].function.parameters", tool.strict, written)


def check_size(places: Sequence[Place]) -> None:
    size = sum(len(place.written.schema) for place in places)
    if size > MAX_SCHEMA_CHARACTERS:
        param = root(places[0].param)
        raise InvalidParameter(
            f"The JSON Schemas in {param} have {size} characters, but at most {MAX_SCHEMA_CHARACTERS} are allowed. "
            "Send smaller schemas.",
            param=param,
        )


def root(param: str) -> str:
    """The top-level field that contains the parameter: tools for tools[0].function."""
    return param.partition("[")[0].partition(".")[0]


def are_light(schemas: Sequence[Written]) -> bool:
    """Whether examining all the schemas takes a millisecond or two, less than a job costs."""
    if sum(len(written.schema) for written in schemas) > LIGHT_CHARACTERS:
        return False
    # Long strings and arrays compile quickly, but checking whether they can be completed is slow.
    if any(LARGE_NUMBER.search(written.schema) for written in schemas):
        return False
    try:
        return sum(weights_of(*(rewritten(json.loads(written.schema)) for written in schemas)).values()) <= LIGHT_UNITS
    except SchemaRefused:
        return False


def cache_key(written: Written) -> str:
    return f"{written.closes:d}{written.schema}"


def notes_on(place: Place, finding: Finding) -> Iterator[str]:
    """Raises InvalidParameter, UnsupportedParameter."""
    if finding.fault:
        raise InvalidParameter(f"{place.param} can't be enforced: {finding.fault}.", param=place.param)
    if finding.keywords and place.strict:
        raise UnsupportedParameter(
            f"{place.param} is strict, but these keywords can't be enforced, or may keep the answer from being "
            f"completed within max_tokens: {', '.join(finding.keywords)}. Leave them out, or send strict: false to "
            "enforce only the others.",
            param=place.param,
        )
    if finding.keywords:
        yield f"{place.param}: {' '.join(finding.keywords)}"
    if finding.words:
        yield f"{place.param}: unknown {' '.join(finding.words)}"


def examine_schemas(tokenizers: Tokenizers, schemas: list[Written]) -> list[Finding]:
    return [examine_schema(written) for written in schemas]


def examine_schema(written: Written) -> Finding:
    schema: Mapping[str, Any] = json.loads(written.schema)
    try:
        keywords, words = left_out_of_document(schema) if written.closes else left_out_of_arguments(schema)
    except SchemaRefused as error:
        return Finding(fault=abbreviate(error.message, 400))
    return Finding(keywords, words)
