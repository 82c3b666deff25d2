"""Mutations of JSON values and of their text, all driven by one random generator."""

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from oruel.contract.parameters import PARAMETERS

MARK = "\x1araw\x1a"
ENCODED_MARK = json.dumps(MARK).encode()
LARGEST_COPIES = 3000

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        0.1,
        1.0,
        -0.0,
        2**31,
        -(2**31),
        2**53 + 1,
        2**63,
        -(2**63) - 1,
        10**30,
        1e308,
        5e-324,
    ),
    *(
        "",
        " ",
        "0",
        "x",
        "null",
        "auto",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "\ufeff",
        "é€😀",
        "<|im_end|>",
        "\n" * 50,
        "../" * 20,
    ),
    *([], {}, [[]], [None], [{}], {"": ""}, {"type": "text"}, {"$ref": "#"}, {"role": "user", "content": "json"}),
    *("x" * 5000, "日" * 3000, [0] * 500, ["x"] * 129, {"type": "object"}, {"type": "function"}),
)
# Invalid JSON, and JSON on which parsers disagree.
RAW: tuple[bytes, ...] = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"-0", b"01", b"0x10", b"1.", b".5", b"+1", b"1E400"),
    *(b"9" * 30, b"9" * 5000, b"0." + b"1" * 5000, b'"\\ud800"', b'"\\udc00\\ud800"', b'"\xff"', b'"\\u0000"', b'"\n"'),
    *(b"tru", b"nul", b'"', b"'x'", b"{", b"[", b"]", b"", b"[" * 200 + b"]" * 200, b"[" * 5000, b'{"a":' * 3000),
    *(b"/* x */ 1", b"1 // x", b'{"a":1,"a":2}', b"[1,]", b'{"a":1,}', b"undefined", b'"\\x41"'),
)  # fmt: skip
NAMES = (*(parameter.name for parameter in PARAMETERS), "messages", "model", "temprature", "", "x" * 500, "__proto__")


def containers(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields each value inside a JSON value, as its container and its key or index."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(pairs):
        yield value, key
        yield from containers(each)


def mutate_body(body: Any, random: Random) -> bytes:
    """The text of a body with one or a few values mutated."""
    body = copy.deepcopy(body)
    raw: list[bytes] = []
    for _ in range(random.choice((1, 1, 1, 1, 2, 2, 4))):
        places = list(containers(body))
        if places:
            holder, key = random.choice(places)
            random.choice(CHANGES)(holder, key, random, raw)
    text = json.dumps(body, ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")
    for one in raw:
        text = text.replace(ENCODED_MARK, one, 1)
    return text


def replace_by_odd(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    holder[key] = copy.deepcopy(random.choice(ODD))


def replace_by_raw(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    holder[key] = MARK
    raw.append(random.choice(RAW))


def remove(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    del holder[key]


def rename(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    if isinstance(holder, dict):
        holder[random.choice((*NAMES, f"{key}s", key.upper(), f"{key}\x00"))] = holder.pop(key)


def add_field(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    value = copy.deepcopy(random.choice(ODD))
    if isinstance(holder, dict):
        holder[random.choice(NAMES)] = value
    else:
        holder.insert(key, value)


def nudge(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    """Moves numbers to or past a limit, adds odd characters to strings, repeats or reverses lists."""
    value = holder[key]
    match value:
        case bool():
            holder[key] = not value
        case int() | float():
            holder[key] = random.choice((value + 1, value - 1, -value, value * 1000, str(value), [value], value + 0.5))
        case str():
            holder[key] = nudge_text(value, random)
        case list():
            holder[key] = (value * random.choice((0, 2, 5, 200)))[:LARGEST_COPIES][:: random.choice((1, -1))]
        case _:
            wrap(holder, key, random, raw)


def nudge_text(text: str, random: Random) -> str:
    at = random.randrange(len(text) + 1)
    odd = random.choice(
        ("\x00", "\ud800", "\u202e", "😀", '"', "\\", "{{ 7*7 }}", "{% raw %}", "<tool_call>", "\r\n", "a" * 2000)
    )
    return random.choice((text[:at] + odd + text[at:], text[:at], (text * 200)[:20_000], text[::-1], text.upper()))


def wrap(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    value = holder[key]
    for _ in range(random.choice((1, 1, 2, 70, 300))):
        value = [value] if random.random() < 0.5 else {"type": value}
    holder[key] = value


def copy_value(holder: Any, key: Any, random: Random, raw: list[bytes]) -> None:
    """Replaces a value by a copy of another."""
    places = list(containers(holder))
    source, name = random.choice(places)
    holder[key] = copy.deepcopy(source[name])


CHANGES: tuple[Callable[[Any, Any, Random, list[bytes]], None], ...] = (
    *(replace_by_odd, replace_by_odd, replace_by_raw, remove, rename, add_field, nudge, nudge, nudge, wrap, copy_value),
)


def damage_text(text: bytes, random: Random) -> bytes:
    """JSON text with bytes changed, removed or repeated, or in another encoding."""
    at, length = random.randrange(len(text) + 1), random.choice((1, 2, 30))
    match random.randrange(8):
        case 0:
            return flip_bytes(text, random)
        case 1:
            return text[:at]
        case 2:
            return text[:at] + text[at + length :]
        case 3:
            return text[:at] + text[at : at + length] * random.choice((2, 100)) + text[at:]
        case 4:
            return text.decode(errors="replace").encode(random.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")))
        case 5:
            return random.choice((b" ", b"\n", b"\x00", b"\xef\xbb\xbf")) * random.choice((1, 50_000)) + text
        case 6:
            return text + random.choice((text, b" ", b"\x00", b"}", b"\xff" * 10))
        case _:
            return random.choice((*RAW, random.randbytes(200)))


def flip_bytes(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] = random.choice(
                (0, 10, 13, 32, 58, 128, 255, random.randrange(256))
            )
    return bytes(changed)
