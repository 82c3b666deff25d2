"""A toy language model: a vocabulary of a few hundred tokens, a tokenizer, and logits that are a fixed function of the
prompt and the last few tokens. Its text is babble, but it has what checks of an endpoint meet in real models: peaked
and flat distributions, characters split over several tokens, digits, JSON punctuation, and control tokens without text.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from oruel.types import Message

Logits = NDArray[np.float64]

CONTEXT = 2048


def split_words(text: str) -> list[str]:
    return text.split()


CONTROLS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|call|>")
END, CALL, TOOL = CONTROLS.index("<|end|>"), CONTROLS.index("<|call|>"), CONTROLS.index("<|tool|>")
WORDS = split_words("""
a about after again all an and animal answer apple as at bear bird blue boat book by cat city cloud cold colour continue
count dark day deep dog door down dream each eagle end every eye far fast find fire fish five four fox from garden
gold green grey hand he her here hill his home horse hour house in into is it know lake last later light line lion
listen little long look low moon morning most mouse name never new night north now number of off old on one only
open or other over owl owner path people place poem quiet rain random red repeat river road said say sea seven she
ship short silver six sky slow small snow so some song soon south spring star stone story sun tale tell ten that
the their then there they thing three through tiger time to town tree turn two under until up voice wait walk wall
warm was water wave we what wheel when where white who wind window winter wolf with wood word world write yes you
young
""")
OPENINGS = split_words("""
A All An Blue Cat Dog Every Fox Green Hello Here House I In It London Lion Moon Name No Now Oh Once Paris Red River
Rome She So Some Sure The There Then They This Tiger Tokyo Two Under We Well When White Write Yes You Zebra
""")
MARKS = [",", ".", "!", "?", ":", ";", "-", "'", '"', "\n", "\n\n", " (", ")", " –", "…"]
JSON_TOKENS = [
    "{}",
    "{",
    "}",
    "[",
    "]",
    '{"',
    '"}',
    '":',
    ' "',
    '",',
    ": ",
    ", ",
    '": "',
    '", "',
    "true",
    "false",
    "null",
]
# The model writes these in pieces: "é" and "日" are split over two tokens, the faces over four.
SPLIT = ["é", "日", "本", "🙂", "🦊"]
PARTIAL = ["日".encode()[:2], "本".encode()[:2]]

VOCABULARY: tuple[bytes, ...] = tuple(
    dict.fromkeys(
        [
            *(bytes([value]) for value in range(256)),
            *PARTIAL,
            *(f" {word}".encode() for word in WORDS),
            *(text.encode() for text in (*OPENINGS, *MARKS, *JSON_TOKENS, "ü", "json", "JSON", " JSON", " to be")),
        ]
    )
)
# The control tokens come first, and have no bytes.
PIECES: tuple[bytes, ...] = (*(b"" for _ in CONTROLS), *VOCABULARY)
IDS = {piece: id for id, piece in enumerate(PIECES) if piece}
SIZE = len(PIECES)
LONGEST = max(map(len, PIECES))
CHARACTERS = [character.encode() for character in SPLIT]

# Logits that are never drawn, and the logit of a token that is nearly always drawn.
NEVER, NEARLY_ALWAYS = -60.0, 25.0
# The spread of the logits, chosen by the prompt: the most probable token has 10 % of the probability, or 80 %.
SPREADS = (1.5, 3.0, 4.5)
LONG_ANSWERS = ("long", "story", "count", "essay", "poem", "list", "hundred")
FIRST_END, FIRST_LONG_END = 6, 3000


@dataclass(frozen=True)
class Prompt:
    """The prompt as token ids. `told` are the tokens that the messages tell the model to repeat."""

    ids: tuple[int, ...]
    digest: int
    told: tuple[int, ...]
    answers_at_length: bool


@lru_cache(4096)
def encode(text: str) -> tuple[int, ...]:
    """The longest token that matches, again and again."""
    rest, ids = text.encode(), []
    while rest:
        piece = next(rest[:size] for size in range(LONGEST, 0, -1) if rest[:size] in IDS)
        ids.append(IDS[piece])
        rest = rest[len(piece) :]
    return tuple(ids)


def decode(ids: Sequence[int]) -> bytes:
    return b"".join(PIECES[id] for id in ids)


@lru_cache(256)
def read_prompt(messages: tuple[Message, ...], tools: int, salt: int = 0) -> Prompt:
    """The chat template: a control token for each role and tool, then the text. It ends with the assistant's token.
    Another `salt` makes another model.
    """
    ids: list[int] = [TOOL] * tools
    for message in messages:
        ids += [CONTROLS.index(f"<|{message.role}|>"), *encode(message.content)]
        for call in message.tool_calls:
            ids += [CALL, *encode(f"{call.name}{call.arguments}")]
        ids.append(END)
    ids.append(CONTROLS.index("<|assistant|>"))
    last = messages[-1].content
    lowered = last.lower()
    return Prompt(
        tuple(ids),
        zlib.crc32(np.array(ids, np.int32).tobytes(), salt),
        told=encode(last.partition(":")[2].strip()) if lowered.startswith(("repeat", "say")) else (),
        answers_at_length=any(word in lowered for word in LONG_ANSWERS),
    )


def class_logits() -> Logits:
    """How probable each token is in general: words above marks, lone bytes never."""
    logits = np.full(SIZE, NEVER)
    for piece, id in IDS.items():
        text = piece.decode(errors="replace")
        if piece in PARTIAL or any(piece == character[:1] for character in CHARACTERS):
            logits[id] = -2.0
        elif text in JSON_TOKENS or len(piece) == 1:
            logits[id] = -9.0
        elif text[1:] in WORDS or text in OPENINGS:
            logits[id] = 0.0
        if text in MARKS or text.isdecimal():
            logits[id] = -2.0
        elif text == "\N{REPLACEMENT CHARACTER}" and logits[id] == -9.0:
            logits[id] = NEVER
    return logits


USUAL = class_logits()
IS_OPENING = np.array([piece[:1].isalpha() and len(piece) > 1 for piece in PIECES])
# No answer begins with a part of a character.
IS_PARTIAL = np.array(["\N{REPLACEMENT CHARACTER}" in piece.decode(errors="replace") for piece in PIECES])
IS_SPACED = np.array([piece[:1] == b" " for piece in PIECES])


State = tuple[int, tuple[int, ...], bool, int, int | None]
"""What the logits of a token depend on."""


def state_after(prompt: Prompt, output: Sequence[int]) -> State:
    count = len(output)
    told = prompt.told[count] if prompt.told[:count] == tuple(output) and count < len(prompt.told) else None
    if prompt.told and prompt.told == tuple(output):
        told = END
    first_end = FIRST_LONG_END if prompt.answers_at_length else FIRST_END
    # In steps of four tokens, so that states recur and rows are found in the cache.
    ripeness = max(0, count - first_end) // 4 if count > first_end else -1
    return prompt.digest, tuple(output[-3:]), count == 0, ripeness, told


@lru_cache(4096)
def logits_in(state: State) -> Logits:
    digest, last, is_first, ripeness, told = state
    random = np.random.Generator(np.random.Philox(zlib.crc32(repr((digest, last)).encode())))
    logits = USUAL + random.normal(0.0, SPREADS[digest % len(SPREADS)], SIZE)
    logits[IS_SPACED if is_first else IS_OPENING] -= 8.0
    if is_first:
        logits[IS_PARTIAL] -= 8.0
    logits[END] = NEVER if ripeness < 0 else -6.0 + 0.6 * ripeness
    unfinished = unfinished_character(decode(last))
    if unfinished:
        logits[[IDS[piece] for piece in continuations(unfinished)]] = NEARLY_ALWAYS
    elif told is not None:
        logits[told] = NEARLY_ALWAYS
    # A constant changes no probability, but repetition_penalty depends on the sign.
    logits += 5.0 if digest & 8 else -15.0
    return logits


def unfinished_character(text: bytes) -> bytes:
    """The beginning of a split character at the end of the text, or nothing."""
    starts = (text[-size:] for size in (3, 2, 1))
    return next((start for start in starts if any(is_beginning(start, one) for one in CHARACTERS)), b"")


def is_beginning(start: bytes, character: bytes) -> bool:
    return bool(start) and len(start) < len(character) and character.startswith(start)


def continuations(start: bytes) -> list[bytes]:
    rests = [character[len(start) :] for character in CHARACTERS if is_beginning(start, character)]
    return [rest[:1] for rest in rests]
