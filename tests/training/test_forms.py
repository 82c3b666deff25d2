"""Documents and calls of the corpus fit their schemas, and the held-out classes and functions are not in it."""

import json
from itertools import chain

import jsonschema_rs
import pytest

from training import corpus, held_out_forms
from training.chatml import render
from training.given import given_spans
from training.held_out_forms import CLASSES, FUNCTIONS, KEYS, NAMES, HeldOut, is_held_out_form
from training.invented import Draws
from training.phrases import Conversation
from training.signatures import keys_of_document, object_schema, parse_signature
from training.subjects import forms, functions, world

SEED = 41
COUNT = 2000
ANSWERS = ("document", "calls", "forced calls")


@pytest.fixture(scope="module")
def sample() -> list[Conversation]:
    """Conversations of the mix with forms, and more of the forms alone."""
    random = Draws(SEED)
    mixes = (corpus.FINISHING_FORMS, corpus.FORMS)
    return [corpus.draw_conversation(random, mix)[1] for mix in mixes for _ in range(COUNT)]


def test_documents_fit_the_schemas_they_are_made_for() -> None:
    random = Draws(SEED)
    for _ in range(COUNT):
        document = forms.draw_form(random).document
        jsonschema_rs.validator_for(document.schema).validate(document.json)


def test_arguments_fit_the_parameters_of_the_function() -> None:
    random = Draws(SEED)
    for _ in range(COUNT):
        task = functions.draw_task(random)
        jsonschema_rs.validator_for(task.declared(random)["parameters"]).validate(task.call["arguments"])


def test_every_call_fits_a_declared_function(sample: list[Conversation]) -> None:
    called = 0
    for conversation in sample:
        said = {role: content for role, content in conversation if role in ("tools", *ANSWERS)}
        calls = json.loads(said.get("calls", said.get("forced calls", "[]")))
        declared = {one["name"]: one["parameters"] for one in json.loads(said.get("tools", "[]"))}
        for call in calls:
            called += 1
            jsonschema_rs.validator_for(declared[call["name"]]).validate(call["arguments"])
    assert called > COUNT / 10


@pytest.mark.parametrize("held_out", [*CLASSES, *FUNCTIONS], ids=lambda held_out: held_out.signature.name)
def test_the_expected_answer_of_a_held_out_form_fits_its_schema(held_out: HeldOut) -> None:
    jsonschema_rs.validator_for(held_out.signature.schema).validate(held_out.answer)


def test_forty_classes_and_forty_functions_are_held_out() -> None:
    assert (len(CLASSES), len(FUNCTIONS)) == (40, 40)
    assert len(NAMES) == 80
    arguments = {len(each.answer) for each in FUNCTIONS}
    assert arguments == {0, 1, 2, 3, 4}


def test_no_held_out_class_or_function_is_in_the_corpus(sample: list[Conversation]) -> None:
    for role, content in chain.from_iterable(sample):
        if role == "tools":
            assert not [one for one in json.loads(content) if is_held_out_form(one["name"], one["parameters"])]
        if role == "document":
            assert keys_of_document(json.loads(content)) not in KEYS


def test_no_held_out_question_is_in_the_corpus(sample: list[Conversation]) -> None:
    text = "".join(map(render, sample))
    assert not [each.question for each in CLASSES + FUNCTIONS if each.question in text]


def test_a_held_out_form_is_recognised_by_its_name_or_keys() -> None:
    fields: dict[str, dict[str, str]] = {"stops": {}, "gate": {}, "airline": {}}
    assert is_held_out_form("Trip", object_schema(fields))
    assert is_held_out_form("FLIGHT", object_schema({"number": {}}))
    assert not is_held_out_form("Trip", object_schema({"number": {}}))
    assert all(len(keys) > 1 for keys in held_out_forms.KEYS)


def test_a_signature_has_the_schema_of_a_class() -> None:
    signature = parse_signature('Event(name=str, guests=list[str], kind=Literal["a", "b"], at=Place(city=str) | None)')
    place = object_schema({"city": {"type": "string"}})
    assert signature.name == "Event"
    assert signature.schema == object_schema(
        {
            "name": {"type": "string"},
            "guests": {"type": "array", "items": {"type": "string"}},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "at": {"anyOf": [place, {"type": "null"}]},
        }
    )


def test_the_keys_of_a_document_are_given_and_its_values_are_not() -> None:
    answer = json.dumps({"a": ['x": y', {"b": 1}], "c_d": "e, f"})
    given = [answer[start:end] for start, end in given_spans("document", answer)]
    assert given == ['{"a":', ' {"b":', ' "c_d":']
    assert given_spans("assistant", answer) == []


def test_the_start_of_a_forced_call_is_given() -> None:
    answer = '<tool_call>\n{"name": "open_door", "arguments": {"arguments": 1}}\n</tool_call>'
    ((start, end),) = given_spans("forced calls", answer)
    assert answer[start:end] == '<tool_call>\n{"name": "open_door", "arguments":'


def test_documents_are_short_and_their_strings_end(sample: list[Conversation]) -> None:
    longest = max(len(content) for role, content in chain.from_iterable(sample) if role == "document")
    assert longest < 1200


@pytest.mark.parametrize("make", [world.world_document, forms.extraction, functions.task_calls])
def test_forms_are_deterministic(make: corpus.Subject) -> None:
    assert [make(Draws(seed)) for seed in range(50)] == [make(Draws(seed)) for seed in range(50)]
