"""Constraints as data, as they cross to the engine. Each has its type and the request parameter that it implements."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from llguidance import LLMatcher

from oruel.constraints.checked_schema import checked_schema
from oruel.constraints.rewriting.rewrite import rewritten
from oruel.constraints.schema import embed_rewritten, embed_schema, not_both, without_options, write_options
from oruel.constraints.skeleton import members_first, skeleton
from oruel.json_schema.keywords import Schema

# Encloses each schema in the text of rules. Neither JSON nor a Lark string contains it unescaped.
MARK = "\x1f"


class Spec(msgspec.Struct, tag=True, array_like=True, frozen=True):
    pass


class JsonObjectSpec(Spec, frozen=True):
    """JSON mode: any JSON object."""

    @property
    def param(self) -> str:
        return "response_format"

    @property
    def schemas(self) -> tuple[Any, ...]:
        return ()


class SchemaSpec(Spec, frozen=True):
    """A document that fits `schema`, a JSON Schema as text. If `must_close` is set, it is completed before the
    budget ends. `checked` is the whole schema if a grammar can't hold all of it; otherwise `whole` is, for the case
    that the library refuses the grammar. The other one is empty.
    """

    schema: str
    must_close: bool = True
    checked: str = ""
    whole: str = ""

    @property
    def param(self) -> str:
        return "response_format.json_schema.schema"

    @property
    def reasoning_end(self) -> tuple[int, ...]:
        return ()

    @property
    def grammar(self) -> str:
        """In llguidance's format."""
        grammar: str = LLMatcher.grammar_from_json_schema(self.schema)
        return grammar

    @property
    def has_wider(self) -> bool:
        return bool(self.checked or self.whole)

    @property
    def wider(self) -> "SchemaSpec":
        """A spec with a grammar that only holds the skeleton of the schema; all of it is checked."""
        whole = members_first(json.loads(self.checked or self.whole))
        return SchemaSpec(write_options(skeleton(whole)), self.must_close, json.dumps(whole))

    @property
    def schemas(self) -> tuple[Any, ...]:
        return (json.loads(self.schema),)


class ArgumentsSpec(msgspec.Struct, array_like=True, frozen=True):
    """The arguments of a call as a JSON object. `begin` and `name`: regular expressions for the text before it, as
    CallHeads reads it; many functions have the same `begin`. `part`: the index of the schema in the rules. `checked`:
    the whole schema if a grammar can't hold all of it.
    """

    begin: str
    name: str
    part: int
    checked: str = ""


class RulesSpec(Spec, frozen=True):
    """A grammar in llguidance's Lark. `parts` are its text; those at odd indices are JSON Schemas. `reasoning_end`: the
    tokens that end the free text before a document. `param`: the request parameter that this spec implements.
    `checked` and `whole` are as in SchemaSpec. `arguments`: one for each function whose calls have arguments in JSON.
    """

    parts: tuple[str, ...]
    param: str
    must_close: bool = False
    reasoning_end: tuple[int, ...] = ()
    checked: str = ""
    whole: str = ""
    arguments: tuple[ArgumentsSpec, ...] = ()

    @property
    def has_wider(self) -> bool:
        return bool(self.checked or self.whole or self.arguments)

    @property
    def wider(self) -> "RulesSpec":
        """As of a SchemaSpec."""
        if self.arguments:
            return self._with_wider_arguments()
        before, _, after = self.parts
        whole = members_first(json.loads(self.checked or self.whole))
        parts = before, write_options(skeleton(whole)), after
        return msgspec.structs.replace(self, parts=parts, checked=json.dumps(whole), whole="")

    def _with_wider_arguments(self) -> "RulesSpec":
        parts = list(self.parts)
        arguments = [msgspec.structs.replace(each, checked=self._whole(each)) for each in self.arguments]
        for each in arguments:
            parts[each.part] = write_options(skeleton(json.loads(each.checked)))
        return msgspec.structs.replace(self, parts=tuple(parts), arguments=tuple(arguments))

    def _whole(self, arguments: ArgumentsSpec) -> str:
        whole = json.loads(arguments.checked or self.parts[arguments.part])
        return json.dumps(members_first(without_options(whole)))

    def document(self, arguments: ArgumentsSpec) -> SchemaSpec:
        """The arguments as a document by themselves."""
        return SchemaSpec(self.parts[arguments.part], checked=arguments.checked)

    @property
    def grammar(self) -> str:
        return "".join(self.parts)

    @property
    def schemas(self) -> tuple[Any, ...]:
        return tuple(map(json.loads, self.parts[1::2]))


class DocumentOrCallsSpec(Spec, frozen=True):
    """A document, which is completed before the budget ends, or calls, which are not."""

    document: JsonObjectSpec | SchemaSpec | RulesSpec
    calls: RulesSpec

    @property
    def param(self) -> str:
        return self.document.param

    @property
    def schemas(self) -> tuple[Any, ...]:
        return (*self.document.schemas, *self.calls.schemas)


GrammarSpec = SchemaSpec | RulesSpec
DocumentSpec = JsonObjectSpec | GrammarSpec
ConstraintSpec = DocumentSpec | DocumentOrCallsSpec


def schema_spec(schema: Schema, *, must_close: bool = True) -> SchemaSpec:
    """Raises SchemaRefused for a reference to nothing in the schema."""
    if not must_close:
        return SchemaSpec(embed_schema(schema), must_close=False)
    enforced = rewritten(schema)
    checked, whole = checked_and_whole(schema, enforced)
    spec = SchemaSpec(embed_rewritten(enforced, is_checked=True), checked=checked, whole=whole)
    return spec.wider if not_both(enforced) else spec


def checked_and_whole(schema: Schema, enforced: Schema) -> tuple[str, str]:
    """As in SchemaSpec."""
    checked = checked_schema(schema, enforced)
    return checked, "" if checked else json.dumps(enforced)


def schema_expression(schema: Schema, *, is_checked: bool = False) -> str:
    """The schema as an expression in the text of rules."""
    return expression_of(embed_schema(schema, is_checked=is_checked))


def expression_of(embedded: str) -> str:
    return f"%json {MARK}{embedded}{MARK}"


class WrittenArguments(NamedTuple):
    """The schema of a call's arguments as text for the grammar, and `checked`, as in ArgumentsSpec."""

    schema: str
    checked: str

    @property
    def expression(self) -> str:
        """As in the text of rules."""
        return expression_of(self.schema)


def written_arguments(schema: Schema) -> WrittenArguments:
    enforced = rewritten(schema)
    return WrittenArguments(embed_rewritten(enforced, is_checked=True), checked_schema(schema, enforced))


def calls_spec(rules: str, arguments: Iterable[tuple[str, str, WrittenArguments]]) -> RulesSpec:
    """From rules for calls. `arguments`: the texts before those in JSON, as in ArgumentsSpec, and the arguments, in the
    order of the rules.
    """
    spec, after, held = rules_spec(rules, "tools"), 0, list[ArgumentsSpec]()
    for begin, name, written in arguments:
        part = spec.parts.index(written.schema, after)
        held.append(ArgumentsSpec(begin, name, part, written.checked))
        after = part + 1
    return msgspec.structs.replace(spec, arguments=tuple(held))


def rules_spec(
    rules: str,
    param: str,
    *,
    must_close: bool = False,
    reasoning_end: tuple[int, ...] = (),
    document: Schema | None = None,
) -> RulesSpec:
    """From Lark text in which `schema_expression` wrote the schemas, of which `document` is the only one, if given."""
    parts = tuple(rules.split(MARK))
    assert len(parts) % 2 == 1
    spec = RulesSpec(parts, param=param, must_close=must_close, reasoning_end=reasoning_end)
    if document is None:
        return spec
    enforced = rewritten(document)
    checked, whole = checked_and_whole(document, enforced)
    spec = msgspec.structs.replace(spec, checked=checked, whole=whole)
    return spec.wider if not_both(enforced) else spec
