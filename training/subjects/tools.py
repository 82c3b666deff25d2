"""Calls of declared functions and answers from their results. Names and arguments are mostly invented."""

import json
import re
from dataclasses import dataclass
from typing import Any

from training import texts
from training.invented import WORDS, Draws
from training.phrases import Conversation, fill_one, join_words, vary_prompt
from training.subjects.chat import small_talk
from training.subjects.facts import any_fact
from training.subjects.memory import draw_value

FRAMES = texts.lines("calls")
CHOICES = ("languages", "currencies", "days", "rooms")


@dataclass(frozen=True)
class Function:
    """`parameters` are tuples of name, JSON type, kind of value and description. `results` is JSON with slots."""

    name: str
    description: str
    parameters: tuple[tuple[str, str, str, str], ...]
    requests: tuple[str, ...]
    results: str
    answers: tuple[str, ...]

    @property
    def declared(self) -> dict[str, Any]:
        properties = {name: {"type": kind, "description": text} for name, kind, _, text in self.parameters}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        return {"name": self.name, "description": self.description, "parameters": schema}


def parse_function(name: str, blocks: list[str]) -> Function:
    (description, *parameters), requests, (result,), answers = (block.splitlines() for block in blocks)
    fields = (line.split(" ", 3) for line in parameters)
    return Function(
        name, description, tuple((a, b, c, d) for a, b, c, d in fields), tuple(requests), result, tuple(answers)
    )


KNOWN = [parse_function(name, blocks) for name, blocks in texts.blocks("tools").items()]


def snake_name(random: Draws) -> str:
    def part() -> str:
        return random.choice(WORDS["objects"]) if random.random() < 0.5 else random.word()

    def name() -> str:
        verb = random.choice(WORDS["verbs"]) if random.random() < 0.7 else random.word()
        return "_".join([verb, *(part() for _ in range(random.choice((1, 1, 2))))])

    return random.draw(lambda _: name())


def parameter(random: Draws) -> tuple[str, str, str, str]:
    name = random.choice(WORDS["fields"]) if random.random() < 0.6 else random.word()
    if random.random() < 0.2:
        name += "_" + random.choice(("id", "name", "code", "type", random.word()))
    if random.random() < 0.35:
        return name, "integer", "numbers", f"The {name.replace('_', ' ')}"
    return name, "string", random.choice(("words", "names", "codes", "cities")), f"The {name.replace('_', ' ')}"


def made_up_function(random: Draws, requests: str = "requests") -> Function:
    """An invented function with one to three parameters."""
    name = snake_name(random)
    verb, *objects = name.split("_")
    parameters = list(
        {fields[0]: fields for fields in (parameter(random) for _ in range(random.choice((1, 1, 2, 2, 3))))}.values()
    )
    spoken = join_words([f"{name.replace('_', ' ')} {{{name}}}" for name, *_ in parameters])
    listed = " and ".join(f"{{{name}}}" for name, *_ in parameters)
    written = ", ".join(f"{name}={{{name}}}" for name, *_ in parameters)
    keys = random.sample(WORDS["fields"], random.choice((1, 1, 2)))
    slots = [random.choice(("n", "word", "place", "code")) for _ in keys]
    slots = slots[:1] if len(set(slots)) < len(slots) else slots
    pairs = list(zip(keys, slots, strict=False))
    result = ", ".join(f'"{key}": ' + ("{n}" if slot == "n" else f'"{{{slot}}}"') for key, slot in pairs)
    task = f"{verb} the {' '.join(objects)}"
    values = {
        "task": task,
        "Task": task.capitalize(),
        "name": name,
        "spoken": spoken,
        "values": listed,
        "written": written,
    }
    return Function(
        name,
        f"{task.capitalize()}.",
        tuple(parameters),
        (fill_one(random, FRAMES[requests], **values),),
        "{" + result + "}",
        ("The " + " and the ".join(f"{key} is {{{slot}}}" for key, slot in pairs) + ".",),
    )


def any_function(random: Draws, known: float = 0.3) -> Function:
    return random.choice(KNOWN) if random.random() < known else made_up_function(random)


def offered_functions(random: Draws, first: Function) -> list[Function]:
    """The function `first` and up to three others with other names, in random order."""
    others = [any_function(random) for _ in range(random.choice((0, 0, 1, 1, 2, 3)))]
    chosen = list({other.name: other for other in [*others, first]}.values())
    random.shuffle(chosen)
    return chosen


def tools_message(offered: list[Function]) -> tuple[str, str]:
    return "tools", json.dumps([one.declared for one in offered])


def arguments(random: Draws, called: Function) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, kind, values, _ in called.parameters:
        if values in CHOICES:
            given[name] = random.choice(WORDS[values])
        else:
            given[name] = draw_value(random, values)
        if values == "words" and random.random() < 0.3:
            given[name] += f" {random.word()}"
        if kind == "integer":
            given[name] = int(given[name])
    return given


def slots(random: Draws) -> dict[str, Any]:
    return {
        "n": int(random.number(1, 2, 3)),
        "word": random.word(),
        "sky": random.choice(WORDS["skies"]),
        "code": random.code(),
        "clock": f"{random.randrange(24):02d}:{random.randrange(60):02d}",
        "name": random.name(),
        "place": random.known_or_invented("cities"),
        "title": random.name(),
    }


def fill_json(template: str, values: dict[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda slot: str(values.get(slot[1], slot[0])), template)


def call_turns(random: Draws, chosen: Function, answered: float) -> Conversation:
    """A request, its call and, with probability `answered`, the result and the answer."""
    given, found = arguments(random, chosen), slots(random)
    request = fill_json(fill_one(random, chosen.requests), given)
    call = json.dumps([{"name": chosen.name, "arguments": given}])
    messages: Conversation = [("user", request), ("calls", call)]
    if random.random() < answered:
        result = fill_json(chosen.results, found)
        messages += [("tool", result), ("assistant", fill_json(fill_one(random, chosen.answers), {**found, **given}))]
    return messages


def call_requests(random: Draws) -> Conversation:
    """One request with a call, or two in a row."""
    chosen = any_function(random)
    offered = offered_functions(random, chosen)
    messages = [tools_message(offered), *call_turns(random, chosen, answered=0.4)]
    if messages[-1][0] == "assistant" and random.random() < 0.4:
        messages += call_turns(random, random.choice(offered), answered=0.5)
    return messages


def two_call_request(random: Draws) -> Conversation:
    """Two requests in one message, answered with two calls."""
    chosen = any_function(random)
    offered = offered_functions(random, chosen)
    other = chosen if random.random() < 0.5 else random.choice(offered)
    (asked, call, result, answer), second = (call_turns(random, each, answered=1.0) for each in (chosen, other))
    calls = json.loads(call[1]) + json.loads(second[1][1])
    messages = [tools_message(offered), ("user", f"{asked[1]} {second[0][1]}"), ("calls", json.dumps(calls))]
    if random.random() < 0.4:
        messages += [result, second[2], ("assistant", f"{answer[1]} {second[3][1]}")]
    return messages


def calls_without_parameter_names(random: Draws) -> Conversation:
    """Requests that don't name the parameters, so that the model has to find their names in the declaration."""
    made = [made_up_function(random, "requests by value") for _ in range(random.choice((2, 2, 3, 4)))]
    offered = list({one.name: one for one in made}.values())
    turns = [call_turns(random, one, answered=0.2) for one in random.sample(offered, len(offered))]
    return [tools_message(offered), *(message for turn in turns for message in turn)]


def answer_from_result(random: Draws) -> Conversation:
    chosen = any_function(random)
    return [tools_message(offered_functions(random, chosen)), *call_turns(random, chosen, answered=1.0)]


def no_call_needed(random: Draws) -> Conversation:
    """Functions are declared, but the question needs none of them."""
    offered = offered_functions(random, any_function(random))
    if random.random() < 0.4:
        return [tools_message(offered), *small_talk(random)]
    fact = any_fact(random)
    return [tools_message(offered), ("user", vary_prompt(random, fact.question)), ("assistant", fact.answer)]
