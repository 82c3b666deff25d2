"""Calls of functions with up to four arguments of any type, which natural requests or lists of values ask for."""

import json
from dataclasses import dataclass
from typing import Any

from training import texts
from training.held_out_forms import is_held_out_form
from training.invented import Draws
from training.phrases import Conversation, fill, fill_one, join_words
from training.signatures import object_schema
from training.subjects import tools
from training.subjects.scenes import MADE_UP_KINDS, Fields, made_up_name, parse_scene
from training.subjects.values import LISTS, Value, draw_value

FRAMES = texts.lines("tasks")
TABLES = texts.tables("tasks")
DESCRIBED = 0.4  # share of declarations that describe their parameters


@dataclass(frozen=True)
class Task:
    """A function with its request and the values that the request asks for."""

    name: str
    description: str
    request: str
    fields: Fields

    def declared(self, random: Draws) -> dict[str, Any]:
        described = random.random() < DESCRIBED
        properties = {
            key: value.schema | ({"description": f"The {key.replace('_', ' ')}"} if described else {})
            for key, value in self.fields.items()
        }
        parameters = object_schema(properties)
        if random.random() < 0.6:
            del parameters["additionalProperties"]
        return {"name": self.name, "description": self.description, "parameters": parameters}

    @property
    def call(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": {key: value.json for key, value in self.fields.items()}}


def known_task(random: Draws) -> Task:
    names, description, sentence, fields = random.choice(TABLES["tasks"])
    request, values = parse_scene(sentence, fields).named(random).tell(random)
    return Task(random.choice(names.split("|")), description, request, shuffled(random, values))


def shuffled(random: Draws, fields: Fields) -> Fields:
    keys = random.sample(list(fields), len(fields)) if random.random() < 0.3 else list(fields)
    return {key: fields[key] for key in keys}


def task_without_values(random: Draws) -> Task:
    if random.random() < 0.6:
        name, description, request = random.choice(TABLES["tasks without values"])
        return Task(name, description, fill(random, request), {})
    name = tools.snake_name(random)
    task = name.replace("_", " the ", 1).replace("_", " ")
    request = fill_one(random, ["{Task}.", "Please {task}.", "Call {name}.", "Can you {task}?"], **spoken_task(name))
    return Task(name, f"{task.capitalize()}.", request, {})


def spoken_task(name: str) -> dict[str, str]:
    task = name.replace("_", " the ", 1).replace("_", " ")
    return {"name": name, "task": task, "Task": task.capitalize()}


def address(random: Draws) -> Value:
    """An object with two or three fields."""
    names = dict.fromkeys(made_up_name(random) for _ in range(random.choice((2, 2, 3))))
    inner = {name: draw_value(random, random.choice(MADE_UP_KINDS)) for name in names}
    spoken = join_words([f"{name.replace('_', ' ')} {value.spoken}" for name, value in inner.items()])
    schema = object_schema({name: value.schema for name, value in inner.items()})
    return Value(spoken, {name: value.json for name, value in inner.items()}, schema)


def made_up_task(random: Draws) -> Task:
    """An invented function with one to four parameters, told by name and value."""
    name = tools.snake_name(random)
    keys = dict.fromkeys(made_up_name(random) for _ in range(random.choice((1, 2, 2, 3, 4))))
    fields = {key: draw_value(random, random.choice(MADE_UP_KINDS)) for key in keys}
    if random.random() < 0.15:
        fields[random.choice(LISTS["groups"])] = address(random)
    sign = random.choice((" ", "=", " = ", ": ", " "))
    pairs = join_words([f"{key.replace('_', ' ')}{sign}{value.spoken}" for key, value in fields.items()])
    spoken = spoken_task(name)
    request = fill_one(random, FRAMES["spoken"], **spoken, pairs="{pairs}").replace("{pairs}", pairs)
    return Task(name, f"{spoken['Task']}.", request, fields)


def draw_task(random: Draws) -> Task:
    while True:
        make = random.choices((known_task, made_up_task, task_without_values), (6, 3, 1.2))[0]
        task = make(random)
        if not is_held_out_form(task.name, object_schema({key: value.schema for key, value in task.fields.items()})):
            return task


def task_calls(random: Draws) -> Conversation:
    """One to four requests, each with its call, under the same declarations."""
    tasks = {task.name: task for task in (draw_task(random) for _ in range(random.choice((1, 2, 2, 3, 4))))}
    declared = [task.declared(random) for task in tasks.values()]
    random.shuffle(declared)
    asked = random.sample(list(tasks.values()), len(tasks))
    messages: Conversation = [("tools", json.dumps(declared, ensure_ascii=False))]
    for task in asked:
        messages += [("user", task.request), ("calls", json.dumps([task.call], ensure_ascii=False))]
    return messages
