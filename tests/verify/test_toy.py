"""The honest endpoint of the tests is honest: its sampler chooses what the reference chooses, and its stop sequences
cut where a search of the whole text finds them.
"""

from random import Random
from typing import Any

import pytest

from oruel.types import Message, SamplingParams
from tests.sampling.reference import decide
from tests.verify.in_process import endpoint_of
from tests.verify.toy_choice import StopReader
from tests.verify.toy_model import CHARACTERS, SIZE, decode, encode, logits_in, read_prompt, state_after
from tests.verify.toy_sampler import ToySampler
from tests.verify.toy_server import ToyServer

pytestmark = pytest.mark.anyio


def random_params(random: Random) -> SamplingParams:
    return SamplingParams(
        temperature=random.choice([0, 0.01, 0.7, 1, 2]),
        top_p=random.choice([0, 0.3, 0.9, 1]),
        top_k=random.choice([0, 1, 5, 40]),
        min_p=random.choice([0, 0.05, 0.5]),
        seed=random.getrandbits(40),
        frequency_penalty=random.choice([0, 0, -1.5, 0.7]),
        presence_penalty=random.choice([0, 0, -1.5, 0.7]),
        repetition_penalty=random.choice([1, 1, 0.3, 1.8]),
        logit_bias=random.choice([{}, {random.randrange(SIZE): 20.0}]),
    )


@pytest.mark.parametrize("seed", range(60))
def test_the_sampler_chooses_what_the_reference_chooses(seed: int) -> None:
    random = Random(seed)
    sampler, params = ToySampler(), random_params(random)
    prompt = read_prompt((Message("user", f"Hello, number {seed % 7}!"),), 0)
    output: list[int] = []
    for _ in range(12):
        decision = decide(logits_in(state_after(prompt, output)).tolist(), params, 1, output)
        chosen = sampler.choose(prompt, output, params, 1)
        assert not decision.firm or chosen in decision.acceptable
        output.append(chosen)


@pytest.mark.parametrize("seed", range(40))
def test_stop_sequences_cut_where_the_first_match_ends(seed: int) -> None:
    random = Random(seed)
    stops = ["".join(random.choices("ab", k=random.randint(1, 4))) for _ in range(3)]
    text = "".join(random.choices("abc", k=30))
    reader, sent, rest = StopReader(stops), "", text
    stopped = False
    while rest and not stopped:
        size = random.randint(0, 4)
        piece, stopped = reader.read(rest[:size])
        sent, rest = sent + piece, rest[size:]
    assert sent + ("" if stopped else reader.rest()) == cut(text, stops)


def cut(text: str, stops: list[str]) -> str:
    """The text before the stop sequence that ends first, and begins first among those."""
    ends = [(text.index(stop) + len(stop), -len(stop)) for stop in stops if stop in text]
    return text[: sum(min(ends))] if ends else text


def test_every_text_is_the_text_of_its_tokens() -> None:
    text = "Hello, a cat said: é 日本 🙂 naïve {} \x00"
    assert decode(encode(text)) == text.encode()
    assert all(len(encode(character.decode())) > 1 for character in CHARACTERS)


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 20, 60])
async def test_a_stream_has_the_text_of_the_same_request_unstreamed(limit: int) -> None:
    async with endpoint_of(ToyServer()) as endpoint:
        fields: dict[str, Any] = {"max_tokens": limit, "seed": 3, "temperature": 2, "stop": [" the", "t"], "n": 2}
        reply, stream = await endpoint.chat(**fields), await endpoint.stream(**fields)
    assert [stream.text(0), stream.text(1)] == reply.texts
    assert stream.usage == reply.usage
    assert stream.done
