"""Schemas as people write them, in the kinds and sizes of the ten data sets of JSONSchemaBench (Geng et al., 2025).
They are generated from a seed: none is copied from there.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.schema_keywords import keywords_of
from bench.schema_objects import ObjectMaker
from bench.schema_parts import Part, Schema, Style, names, sentence

SEED = 22


@dataclass(frozen=True, slots=True)
class Sample:
    """`example` is a document that fits `schema`."""

    name: str
    schema: Schema
    example: object


def schema_set(each: int, seed: int = SEED) -> list[Sample]:
    """`each` schemas of each kind, the kinds in turn. A longer set begins with the shorter one."""
    return [sample(kind, place, seed) for place in range(each) for kind in KINDS]


def sample(kind: str, place: int, seed: int = SEED) -> Sample:
    made = KINDS[kind](random.Random(f"{seed} {kind} {place}"))
    return Sample(f"{kind}-{place}", made.schema, made.example)


def github(least: int, most: int, **style: float) -> Callable[[random.Random], Part]:
    """What repositories contain: everything, of `least` to `most` members."""

    def make(chance: random.Random) -> Part:
        chosen = replace(
            Style(**style),  # type: ignore[arg-type]  # some fields are booleans, set below
            draft=chance.choice([4, 4, 7, 7, 7, 2020]),
            described=chance.choice([0, 0.2, 0.7]),
            closed=chance.choice([0, 0.3, 1]),
            required=chance.choice([0.1, 0.4, 0.9]),
            vendor=chance.choice([0, 0, 0.05]),
            snake=chance.random() < 0.4,
        )
        shared = chance.choice([0, 0, 0.3, 0.6])
        maker = ObjectMaker(chance, chosen, shared=shared, circular=chance.random() < 0.2)
        return maker.root(chance.randint(least, most))

    return make


def function_signature(chance: random.Random) -> Part:
    """The parameters of a function that a model may call: few members, all described."""
    style = Style(described=1, closed=0.05, ruled=0, required=0.7, nested=0.12, depth=1, nullable=0, snake=True)
    part = ObjectMaker(chance, style).object_of(chance.choice([1, 2, 2, 3, 3, 4, 5, 7]), 1, 300)
    return Part(part.schema, part.example)


def tool_configuration(chance: random.Random) -> Part:
    """The configuration file of a developer's tool: many optional members, texts, definitions, vendors' keywords."""
    style = Style(
        described=0.8, vendor=0.08, closed=0.5, ruled=0.3, required=0.06, nested=0.3, depth=4, nullable=0.02
    )  # fmt: skip
    maker = ObjectMaker(chance, style, shared=0.35, circular=chance.random() < 0.3)
    part = maker.root(chance.choice([20, 40, 60, 90, 140, 200]))
    if chance.random() < 0.4:
        part.schema["properties"]["$schema"] = {"type": "string", "format": "uri"}
    return part


def cluster_resource(chance: random.Random) -> Part:
    """A resource of a container platform, with its references written out: everything may be null, nothing is
    required, long texts, maps.
    """
    style = Style(
        draft=4, described=0.95, closed=chance.choice([0, 1]), ruled=0.02, required=0.04, nested=0.4, depth=5,
        nullable=chance.choice([0, 0.9]),
    )  # fmt: skip
    maker = ObjectMaker(chance, style)
    kind = names(chance, 1, style)[0].capitalize()
    parts = {
        "apiVersion": Part({"description": sentence(chance), "type": "string", "enum": ["apps/v1"]}, "apps/v1"),
        "kind": Part({"description": sentence(chance), "type": "string", "enum": [kind]}, kind),
        "metadata": maker.object_of(14, 2, 40),
        "spec": maker.object_of(chance.choice([10, 40, 90, 160]), 4, 60),
        "status": maker.object_of(8, 1, 40),
    }
    part = maker.finished(parts, 200)
    meaning = {"x-kubernetes-group-version-kind": [{"group": "apps", "kind": kind, "version": "v1"}]}
    return Part({"$schema": style.uri, **part.schema, **meaning}, part.example)


def tracked_event(chance: random.Random) -> Part:
    """An event that a website reports: flat, closed, bounded, mostly nullable, and describes itself."""
    style = Style(
        draft=4, described=0.6, closed=1, ruled=0.08, required=0.35, nested=0.06, depth=1, nullable=0.5, snake=True
    )
    part = ObjectMaker(chance, style).object_of(chance.choice([3, 6, 10, 16, 25, 40]), 1, 400)
    name = "_".join(names(chance, 2, style))
    itself = {"vendor": "com.example", "name": name, "format": "jsonschema", "version": "1-0-0"}
    return Part({"$schema": style.uri, "description": sentence(chance), "self": itself, **part.schema}, part.example)


def news_content(chance: random.Random) -> Part:
    """A story of a newspaper: shared traits, alternatives by type, strict versions, circular references."""
    style = Style(draft=4, described=0.9, closed=0.8, ruled=0.1, required=0.2, nested=0.35, depth=3, snake=True)
    maker = ObjectMaker(chance, style, shared=0.5, circular=chance.random() < 0.6)
    part = maker.root(chance.choice([15, 30, 60, 100]))
    version = {"type": "string", "enum": ["0.10.7"], "description": sentence(chance)}
    part.schema["properties"]["version"] = version
    part.schema["required"] = [*part.schema.get("required", []), "version"]
    block = maker.tagged_alternatives(9, 0, 100)
    part.schema["properties"]["content_elements"] = {"type": "array", "items": block.schema}
    part.schema["properties"]["taxonomy"] = maker.leaf().schema
    return Part({"id": "https://example.com/story.json", **part.schema}, {**part.example, "version": "0.10.7"})


KINDS: dict[str, Callable[[random.Random], Part]] = {
    "trivial": github(1, 9, depth=1),
    "easy": github(10, 30, depth=2),
    "medium": github(30, 100, depth=3),
    "hard": github(100, 300, depth=4),
    "ultra": github(300, 600, depth=4),
    "function": function_signature,
    "config": tool_configuration,
    "cluster": cluster_resource,
    "event": tracked_event,
    "news": news_content,
}


def keyword_counts(samples: list[Sample]) -> dict[str, int]:
    """In how many schemas each keyword stands."""
    counts: dict[str, int] = {}
    for one in samples:
        for keyword in set(keywords_of(one.schema)):
            counts[keyword] = counts.get(keyword, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    samples = schema_set(6)
    for one in samples:
        members = json.dumps(one.schema).count('"type"')
        print(f"{one.name:14}{len(json.dumps(one.schema)):8,} characters, {members:5} types")
    print(keyword_counts(samples))
