"""One case: the bytes to send on a connection, determined by the seed and its number, and the expected answers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from tests.fuzz.bodies import chat_body, tokenize_body
from tests.fuzz.heads import HEAD_CHANGES, break_framing, chunk_request, frame_request, other_protocol
from tests.fuzz.mutations import damage_text, mutate_body

CHAT_PATHS = ("/v1/chat/completions", "/v1/inference/chat/completions")
READABLE = ("/v1/models", "/v1/models/MODEL", "/v1/models/none", "/v1/inference/models", "/v1/parameters", "/health",
            "/metrics", "/docs", "/openapi.json", "/", "/v1", "/none", "*", CHAT_PATHS[0], "/tokenize",
            "/web/css/theme.css", "/web/../errors.py", "/web/css/%2e%2e/%2e%2e/errors.py")  # fmt: skip
METHODS = ("GET", "GET", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "POST", "FROB")
LARGE_BODY = 9 * 2**20

Step = bytes | float
"""Bytes are sent; a number sleeps for so many seconds."""


@dataclass(frozen=True)
class Target:
    """What cases need to know about the server, which listens on `port` of the loopback interface."""

    port: int
    model: str
    vocabulary: int


@dataclass(frozen=True)
class Case:
    """`methods` are those of the requests, each of which must be answered; None if the mutation may change their
    number. With `leaves`, the client disconnects when everything is sent.
    """

    number: int
    kind: str
    steps: Sequence[Step]
    methods: tuple[str, ...] | None
    leaves: bool = False

    @property
    def sent(self) -> bytes:
        return b"".join(step for step in self.steps if isinstance(step, bytes))


def make_case(seed: int, number: int, target: Target) -> Case:
    random = Random(f"fuzz-{seed}-{number}")
    kind = random.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    return KINDS[kind][1](number, random, target)


def valid_body(random: Random, target: Target) -> tuple[str, bytes]:
    """Returns a path and an encoded body."""
    path, body = random_post(random, target)
    return path, json.dumps(body).encode()


def random_post(random: Random, target: Target) -> tuple[str, dict[str, object]]:
    if random.random() < 0.15:
        return "/tokenize", tokenize_body(random, target.model)
    return random.choice(CHAT_PATHS), chat_body(random, target.model, target.vocabulary)


def post(random: Random, target: Target, path: str, body: bytes) -> bytes:
    if random.random() < 0.3:
        return chunk_request("POST", path, target.port, body, random)
    return frame_request("POST", path, target.port, body)


def body_values(number: int, random: Random, target: Target) -> Case:
    path, body = random_post(random, target)
    return Case(
        number, "values of a body", pieces(post(random, target, path, mutate_body(body, random)), random), ("POST",)
    )


def body_text(number: int, random: Random, target: Target) -> Case:
    path, body = valid_body(random, target)
    return Case(
        number, "text of a body", pieces(post(random, target, path, damage_text(body, random)), random), ("POST",)
    )


def large_body(number: int, random: Random, target: Target) -> Case:
    path, body = valid_body(random, target)
    return Case(
        number, "a large body", (frame_request("POST", path, target.port, body + b" " * LARGE_BODY),), ("POST",)
    )


def other_requests(number: int, random: Random, target: Target) -> Case:
    method, path = random.choice(METHODS), random.choice(READABLE).replace("MODEL", target.model)
    body = b"" if random.random() < 0.7 else b'{"model": 1}'
    return Case(number, "another request", pieces(frame_request(method, path, target.port, body), random), (method,))


def valid_pipeline(number: int, random: Random, target: Target) -> Case:
    """Valid requests, pipelined on one connection."""
    methods = [random.choice(("GET", "HEAD")) for _ in range(random.randint(1, 3))]
    requests = [(method, frame_request(method, random.choice(READABLE[:7]), target.port, b"")) for method in methods]
    requests.append(("POST", post(random, target, *valid_body(random, target))))
    random.shuffle(requests)
    data = b"".join(request for _, request in requests)
    return Case(number, "a pipeline", pieces(data, random), tuple(method for method, _ in requests))


def leaving_client(number: int, random: Random, target: Target) -> Case:
    data = post(random, target, *valid_body(random, target))
    cut = data[: random.randrange(len(data) + 1)] if random.random() < 0.5 else data
    steps: list[Step] = [*pieces(cut, random), random.choice((0.0, 0.01, 0.1))]
    return Case(number, "a client that leaves", steps, (), leaves=True)


def head(number: int, random: Random, target: Target) -> Case:
    path, body = valid_body(random, target)
    data = random.choice(HEAD_CHANGES)(frame_request("POST", path, target.port, body), random)
    return Case(number, "a head", pieces(data, random), None)


def framing(number: int, random: Random, target: Target) -> Case:
    path, body = valid_body(random, target)
    return Case(number, "framing", pieces(break_framing(path, target.port, body, random), random), None)


def not_http(number: int, random: Random, target: Target) -> Case:
    return Case(number, "not HTTP", pieces(other_protocol(random), random), None)


def pieces(data: bytes, random: Random) -> list[Step]:
    """Splits the data into pieces, some of them delayed."""
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 0, 0, 1, 2, 20))))
    ends = [*cuts, len(data)]
    steps: list[Step] = []
    for start, end in zip([0, *cuts], ends, strict=True):
        steps.append(data[start:end])
        if random.random() < 0.2 and end < len(data):
            steps.append(random.choice((0.0, 0.002, 0.02)))
    return steps


Maker = Callable[[int, Random, Target], Case]
KINDS: dict[str, tuple[float, Maker]] = {
    "body values": (50, body_values),
    "body text": (12, body_text),
    "large body": (0.2, large_body),
    "other requests": (8, other_requests),
    "pipeline": (4, valid_pipeline),
    "leaving": (6, leaving_client),
    "head": (10, head),
    "framing": (8, framing),
    "not HTTP": (1.5, not_http),
}
