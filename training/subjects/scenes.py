"""Sentences that say the values of several fields, such as a name, an age and a city. Fields have several names."""

import re
from dataclasses import dataclass, replace

from training import texts
from training.invented import WORDS, Draws
from training.phrases import fill
from training.subjects.values import LISTS, Value, draw_value

SLOT = re.compile(r"\{(\w+)\}")
Fields = dict[str, Value]


@dataclass(frozen=True)
class Field:
    """`kind` is that of its values, as in `draw_value`."""

    names: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Scene:
    """`fields` are in the order of the sentence's slots. The text doesn't say those without a slot."""

    sentence: str
    fields: tuple[Field, ...]

    def named(self, random: Draws) -> "Scene":
        """The scene with one name for each field, mostly the first one."""
        chosen = [random.choice(field.names[:1] * 2 + field.names) for field in self.fields]
        if len(set(chosen)) < len(chosen):
            chosen = [field.names[0] for field in self.fields]
        fields = (replace(field, names=(name,)) for field, name in zip(self.fields, chosen, strict=True))
        return replace(self, fields=tuple(fields))

    def tell(self, random: Draws) -> tuple[str, Fields]:
        """The sentence with values, and the fields under their first names."""
        values = [draw_value(random, field.kind) for field in self.fields]
        slots = SLOT.findall(self.sentence)
        spoken = {slot: value.spoken for slot, value in zip(slots, values, strict=False)}
        keys = (field.names[0] for field in self.fields)
        return fill(random, self.sentence, **spoken), dict(zip(keys, values, strict=True))


def parse_fields(text: str) -> tuple[Field, ...]:
    """Parses `name|person=people, age=ages`."""
    pairs = (field.split("=") for field in text.split(", "))
    return tuple(Field(tuple(names.split("|")), kind) for names, kind in pairs)


def parse_scene(sentence: str, fields: str) -> Scene:
    scene = Scene(sentence, parse_fields(fields))
    assert len(SLOT.findall(sentence)) <= len(scene.fields), sentence
    return scene


TABLES = texts.tables("scenes")
SCENES = [parse_scene(*row) for row in TABLES["scenes"]]


def draw_scene(random: Draws) -> Scene:
    """A scene of the file, or one whose fields have arbitrary names."""
    return (random.choice(SCENES) if random.random() < 0.75 else made_up_scene(random)).named(random)


def made_up_scene(random: Draws) -> Scene:
    """A thing with one to four fields, each said with its name."""
    names = dict.fromkeys(made_up_name(random) for _ in range(random.choice((1, 2, 2, 3, 3, 4))))
    fields = [Field((name,), random.choice(MADE_UP_KINDS)) for name in names]
    sign = random.choice((" ", ": ", " = ", " is ", ": "))
    parts = [f"{name.replace('_', ' ')}{sign}{{slot{number}}}" for number, name in enumerate(names)]
    glue = random.choice((", ", ", ", "; ", " and ", ". The "))
    head = random.choice(("", "", "The ", f"The {random.choice(LISTS['classes'])}: ", f"{random.name()}: "))
    return Scene(f"{head}{glue.join(parts)}.", tuple(fields))


def made_up_name(random: Draws) -> str:
    name = random.choice(WORDS["fields"]) if random.random() < 0.5 else random.word()
    return f"{name}_{random.choice(('id', 'name', 'code', 'type', random.word()))}" if random.random() < 0.15 else name


MADE_UP_KINDS = (
    *(
        "people",
        "names",
        "cities",
        "words",
        "words",
        "codes",
        "titles",
        "phrases",
        "dates",
        "emails",
        "ages",
        "numbers",
    ),
    *("numbers", "decimals", "colours", "nouns", "words*", "ages*", "people*", "flag(yes;no)", "flag(true;false)"),
)


def flag_scene(random: Draws) -> Scene:
    """A sentence with one field that is true or false."""
    sentence, fields = random.choice(TABLES["flags"])
    adjective = random.choice(LISTS["adjectives"])
    key = random.choice(LISTS["equipment"]) if "a {key}" in fields else random.choice((adjective, f"is_{adjective}"))
    return parse_scene(sentence, fields.replace("{key}", key).replace("{adjective}", adjective))
