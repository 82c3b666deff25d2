"""What can be told without log-probabilities: from how often first tokens are drawn. Verdicts are weak."""

from collections import Counter
from collections.abc import Mapping

from oruel.verify.probe import PROMPTS, Probe
from oruel.verify.verdict import Verdict, cant_tell, honoured, ignored, refused

DRAWS = 24
# If the most frequent token has at most this share, so many equal draws aren't chance: 0.7^24 is 0.0002.
MOST_OF_ONE = 0.7


async def check_constant(probe: Probe, fields: Mapping[str, float]) -> Verdict:
    """Whether the strictest value of a parameter leaves one token, on a prompt where draws vary without it."""
    reply = await probe.chat(max_tokens=1, **probe.neutral(**{"temperature": 1, **fields}))
    if not reply.ok:
        return refused(f"status {reply.status}", exchanges=(reply.exchange,))
    varied = await find_varied_prompt(probe)
    if varied is None:
        return cant_tell("there are no log-probabilities, and on no prompt do draws vary enough", weak=True)
    prompt, without = varied
    drawn = await probe.draw_first_tokens(prompt, DRAWS, **probe.neutral(**{"temperature": 1, **fields}))
    tokens = Counter(drawn)
    figures = {"prompt": prompt, "draws": len(drawn), "tokens": len(tokens), "without": len(without), **fields}
    if len(tokens) > 1:
        return ignored("draws vary, though one token is left", figures=figures, exchanges=(reply.exchange,), weak=True)
    return honoured(figures=figures, exchanges=(reply.exchange,), weak=True)


async def find_varied_prompt(probe: Probe) -> tuple[str, Counter[str]] | None:
    """A prompt, and its first tokens at temperature 1."""
    for prompt in PROMPTS:
        tokens = Counter(await probe.draw_first_tokens(prompt, DRAWS, **probe.neutral(temperature=1)))
        if tokens and max(tokens.values()) <= MOST_OF_ONE * tokens.total():
            return prompt, tokens
    return None
