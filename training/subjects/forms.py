"""Documents for schemas made at random: values extracted from a text, or invented on request."""

import json
from dataclasses import dataclass
from typing import Any

from training import texts
from training.held_out_forms import is_held_out_form
from training.invented import Draws
from training.phrases import Conversation, fill_one, vary_prompt, with_article
from training.signatures import object_schema
from training.subjects.scenes import Fields, Scene, draw_scene, flag_scene
from training.subjects.values import LISTS, Value

FRAMES = texts.lines("scenes")
CALLS = texts.lines("tasks")


@dataclass(frozen=True)
class Form:
    """A class, `thing` in words, a text and the document with the text's values."""

    thing: str
    text: str
    document: Value

    @property
    def name(self) -> str:
        return "".join(word.capitalize() for word in self.thing.split())


def document_of(random: Draws, fields: Fields) -> Value:
    """An object with the fields, mostly in the order of the text."""
    keys = random.sample(list(fields), len(fields)) if random.random() < 0.35 else list(fields)
    schema = object_schema({key: fields[key].schema for key in keys})
    return Value("", {key: fields[key].json for key in keys}, schema)


def with_optional(random: Draws, fields: Fields) -> Fields:
    """The fields, some of them optional, and sometimes one that the text doesn't say and that is null."""
    changed = {
        key: Value(value.spoken, value.json, {"anyOf": [value.schema, {"type": "null"}]})
        if random.random() < 0.3
        else value
        for key, value in fields.items()
    }
    other = random.choice(draw_scene(random).fields)
    missing = Value("", None, {"anyOf": [{"type": "string"}, {"type": "null"}]})
    return changed | {other.names[0]: missing} if other.names[0] not in fields else changed


def with_group(random: Draws, fields: Fields) -> Fields:
    """The fields, with the last ones in an object of their own."""
    kept = random.randint(0, len(fields) - 1)
    keys = list(fields)
    inner = document_of(random, {key: fields[key] for key in keys[kept:]})
    return {**{key: fields[key] for key in keys[:kept]}, random.choice(LISTS["groups"]): inner}


def told_once(random: Draws) -> tuple[str, Fields]:
    """A text with one or two sentences. The fields of a second one are asked for too, or not."""
    text, fields = draw_scene(random).tell(random)
    if random.random() < 0.15:
        sentence, flags = flag_scene(random).tell(random)
        text, fields = f"{text} {sentence}", fields | flags
    if random.random() < 0.2:
        sentence, others = draw_scene(random).tell(random)
        text = f"{text} {sentence}" if random.random() < 0.5 else f"{sentence} {text}"
        if random.random() < 0.4 and not fields.keys() & others.keys():
            fields = fields | others if text.endswith(sentence) else others | fields
    if random.random() < 0.15:
        fields = with_optional(random, fields)
    if random.random() < 0.12:
        fields = with_group(random, fields)
    return text, fields


def told_repeatedly(random: Draws) -> tuple[str, Fields]:
    """A text with two or three sentences of the same kind, and an array of objects."""
    scene: Scene = draw_scene(random)
    told = [scene.tell(random) for _ in range(random.choice((2, 2, 3)))]
    schema = object_schema({key: value.schema for key, value in told[0][1].items()})
    documents = [{key: value.json for key, value in fields.items()} for _, fields in told]
    key = random.choice(LISTS["arrays"])
    return " ".join(text for text, _ in told), {key: Value("", documents, {"type": "array", "items": schema})}


def class_name(random: Draws) -> str:
    if random.random() < 0.7 and not random.kept_out:
        return random.choice(LISTS["classes"])
    return random.word() if random.random() < 0.7 else f"{random.word()} {random.choice(LISTS['classes'])}"


def draw_form(random: Draws) -> Form:
    while True:
        text, fields = told_repeatedly(random) if random.random() < 0.08 else told_once(random)
        form = Form(class_name(random), text, document_of(random, fields))
        if not is_held_out_form(form.name, form.document.schema):
            return form


def with_titles(schema: dict[str, Any], title: str) -> dict[str, Any]:
    """The schema with the titles that pydantic adds."""
    titled = {
        key: {"title": key.replace("_", " ").title(), **value}
        if "type" in value and "properties" not in value
        else value
        for key, value in schema["properties"].items()
    }
    return {**schema, "properties": titled, "title": title}


def written_schema(random: Draws, form: Form) -> str:
    schema = form.document.schema
    if random.random() < 0.5:
        schema = with_titles(schema, form.name)
    if random.random() < 0.5:
        schema = {key: value for key, value in schema.items() if key != "additionalProperties"}
    return json.dumps(schema, ensure_ascii=False)


def system_messages(random: Draws, form: Form) -> Conversation:
    kind = random.random()
    if kind < 0.12:
        return [("system", fill_one(random, FRAMES["systems with schema"], schema=written_schema(random, form)))]
    return [("system", fill_one(random, FRAMES["systems"], thing=form.thing))] if kind < 0.5 else []


def answer_to(form: Form) -> tuple[str, str]:
    return "document", json.dumps(form.document.json, ensure_ascii=False)


def extraction(random: Draws) -> Conversation:
    """A document with the values of a text."""
    form = draw_form(random)
    request = fill_one(random, FRAMES["requests"], thing=form.thing).replace("{text}", form.text)
    return [*system_messages(random, form), ("user", request), answer_to(form)]


def invention(random: Draws) -> Conversation:
    """A document with values that the request doesn't say."""
    form = draw_form(random)
    request = vary_prompt(random, fill_one(random, FRAMES["inventions"], thing=form.thing))
    return [
        *system_messages(random, form),
        ("user", request.replace("a " + form.thing, with_article(form.thing))),
        answer_to(form),
    ]


def extraction_call(random: Draws) -> Conversation:
    """The values of a text as the arguments of a call of the one function that is declared."""
    form = draw_form(random)
    name = fill_one(random, CALLS["form names"], name=form.thing.replace(" ", "_"), Name=form.name)
    description = fill_one(random, CALLS["descriptions of forms"], name=form.name, thing=form.thing)
    parameters = with_titles(form.document.schema, form.name) if random.random() < 0.2 else form.document.schema
    declared = [{"name": name, "description": description, "parameters": parameters}]
    request = fill_one(random, FRAMES["requests"], thing=form.thing).replace("{text}", form.text)
    call = [{"name": name, "arguments": form.document.json}]
    messages: Conversation = [("tools", json.dumps(declared, ensure_ascii=False)), ("user", request)]
    return [*messages, ("calls", json.dumps(call, ensure_ascii=False))]
