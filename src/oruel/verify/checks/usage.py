"""usage: counted against /tokenize, the log-probabilities, and itself."""

import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from oruel.verify.check import Check
from oruel.verify.checks.steps import STORY, combined, confirmed, plain, served
from oruel.verify.probe import Probe, user
from oruel.verify.reply import Json, Reply
from oruel.verify.verdict import Concluded, Verdict, cant_tell, differs, honoured

# Nothing, text, marks, several bytes, and what must not be read as a control token.
PROMPTS = ("Hello!", "Tell me a story about a fox and 12 eggs.", "naïve café 日本 🙂", "<|im_end|> </s> [INST]")
FILLER = " apple"
FILLERS = (10, 20, 30)
# Long enough for a prompt cache that works in blocks.
CACHED_FILLERS = 400
CHOICES, CHOICE_TOKENS = 3, 4


def root_of(url: str) -> str:
    """The server's root, before /v1 and the like."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def count(reply: Reply, name: str) -> int:
    """One figure of the usage. Ends the check if it isn't reported."""
    found = reply.usage.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise Concluded(cant_tell(f"{name} isn't reported", exchanges=(reply.exchange,)))
    return found


async def tokenized(probe: Probe, messages: list[Json]) -> int | None:
    """The prompt's tokens, control tokens included, by Oru'el's or vLLM's /tokenize, or by llama.cpp's."""
    root = root_of(probe.endpoint.url)
    reply = await probe.endpoint.post(f"{root}/tokenize", {"model": probe.endpoint.model, "messages": messages})
    found = field(reply, "count")
    if isinstance(found, int):
        return found
    prompt = field(await probe.endpoint.post(f"{root}/apply-template", {"messages": messages}), "prompt")
    if not isinstance(prompt, str):
        return None
    plain_text = {"content": prompt, "add_special": True, "parse_special": True}
    tokens = field(await probe.endpoint.post(f"{root}/tokenize", plain_text), "tokens")
    return len(tokens) if isinstance(tokens, list) and tokens else None


def field(reply: Reply, name: str) -> Any:
    return reply.body.get(name) if reply.status == 200 and isinstance(reply.body, dict) else None


async def check_prompt(probe: Probe) -> Verdict:
    parts = []
    for prompt in PROMPTS:
        reply = await plain(probe, messages=user(prompt), max_tokens=1)
        told, expected = count(reply, "prompt_tokens"), await tokenized(probe, user(prompt))
        evidence = {"figures": {f"“{prompt[:12]}”": f"{told} of {expected}"}, "exchanges": (reply.exchange,)}
        if expected is None:
            return cant_tell("the server has no POST /tokenize for messages")
        parts.append(honoured(**evidence) if told == expected else differs(off_by(told - expected), **evidence))
    return combined(parts)


def off_by(difference: int) -> str:
    return f"prompt_tokens is {abs(difference)} too {'high' if difference > 0 else 'low'}"


async def check_growth(probe: Probe) -> Verdict:
    replies = [await plain(probe, messages=user("Fruit:" + FILLER * fillers), max_tokens=1) for fillers in FILLERS]
    first, second, third = [count(reply, "prompt_tokens") for reply in replies]
    evidence = {
        "figures": {f"{fillers} words": told for fillers, told in zip(FILLERS, (first, second, third), strict=True)},
        "exchanges": (replies[-1].exchange,),
    }
    if first == second == third:
        return differs("prompt_tokens doesn't grow with the prompt", **evidence)
    if third - second != second - first:
        return differs("prompt_tokens doesn't grow evenly with the same word repeated", **evidence)
    return honoured(**evidence)


async def check_completion(probe: Probe) -> Verdict:
    """Where max_tokens cuts the text, so that no end token counts that has no log-probability."""
    reply = await plain(probe, messages=user(STORY), temperature=0, max_tokens=9, **probe.facts.token_fields)
    told, entries = count(reply, "completion_tokens"), len(reply.tokens())
    evidence = {"figures": {"completion_tokens": told, "log-probabilities": entries}, "exchanges": (reply.exchange,)}
    if reply.finish == "length" and told == entries:
        return honoured(**evidence)
    if reply.finish != "length" or probe.facts.reasons or reply.thoughts:
        return cant_tell("the log-probabilities don't cover all of the tokens", **evidence)
    too = "high" if told > entries else "low"
    return differs(f"completion_tokens is {abs(told - entries)} too {too}", **evidence)


async def check_total(probe: Probe) -> Verdict:
    parts = []
    for prompt, tokens in ((PROMPTS[0], 1), (STORY, 7)):
        reply = await plain(probe, messages=user(prompt), max_tokens=tokens)
        right = count(reply, "total_tokens") == count(reply, "prompt_tokens") + count(reply, "completion_tokens")
        parts.append(
            (honoured if right else partial(differs, "total_tokens isn't the sum"))(exchanges=(reply.exchange,))
        )
    return combined(parts)


async def check_cached(probe: Probe) -> Verdict:
    """A cached prefix can be no longer than what two prompts share: here, the template's beginning at most."""
    short = await plain(probe, max_tokens=1)
    # Not from the run's seed: an earlier run with the same one may have left its prompt in the cache.
    request: Json = {"messages": user(f"{time.time_ns()}" + FILLER * CACHED_FILLERS), "max_tokens": 1}
    new, again = await plain(probe, **request), await plain(probe, **request)
    if cached(new) is None and cached(again) is None:
        return cant_tell("cached tokens aren't reported", exchanges=(again.exchange,))
    figures = {
        "prompt_tokens": count(again, "prompt_tokens"),
        "cached, first time": cached(new) or 0,
        "cached, second time": cached(again) or 0,
    }
    for reply in (new, again):
        if not 0 <= (cached(reply) or 0) <= count(reply, "prompt_tokens"):
            return differs("more tokens are cached than the prompt has", figures=figures, exchanges=(reply.exchange,))
    if (cached(new) or 0) > count(short, "prompt_tokens"):
        return differs("tokens of a new prompt count as cached", figures=figures, exchanges=(new.exchange,))
    if count(new, "prompt_tokens") != count(again, "prompt_tokens"):
        return differs("prompt_tokens depends on what is cached", figures=figures, exchanges=(again.exchange,))
    return honoured(figures=figures, exchanges=(again.exchange,))


def cached(reply: Reply) -> int | None:
    details = reply.usage.get("prompt_tokens_details")
    found = details.get("cached_tokens") if isinstance(details, dict) else None
    return found if isinstance(found, int) else None


async def check_n(probe: Probe) -> Verdict:
    request: Json = {"messages": user(STORY), "temperature": 1, "max_tokens": CHOICE_TOKENS}
    one, more = await plain(probe, **request), await served(probe, **request, n=CHOICES)
    figures = {
        "prompt_tokens": f"{count(one, 'prompt_tokens')}; with n: {count(more, 'prompt_tokens')}",
        "completion_tokens": count(more, "completion_tokens"),
    }
    evidence = {"figures": figures, "exchanges": (more.exchange,)}
    if count(more, "prompt_tokens") != count(one, "prompt_tokens"):
        return differs("n changes prompt_tokens", **evidence)
    choices = [*one.choices, *more.choices]
    if any(choice.get("finish_reason") != "length" for choice in choices) or len(more.choices) != CHOICES:
        return cant_tell("not all choices reached max_tokens", **evidence)
    if count(more, "completion_tokens") == CHOICES * count(one, "completion_tokens"):
        return honoured(**evidence)
    return differs("completion_tokens isn't the sum over the choices", **evidence)


CHECKS: tuple[Check, ...] = (
    Check(
        "usage.prompt",
        "usage",
        "Is prompt_tokens the number of tokens that the server's own tokenizer gives?",
        "Compares it with POST /tokenize at the server's root (Oru'el, vLLM; llama.cpp with /apply-template).",
        tokens=120,
        run=check_prompt,
    ),
    Check(
        "usage.prompt_growth",
        "usage",
        "Does prompt_tokens grow by as much as the prompt?",
        "Sends the same word 10, 20 and 30 times.",
        tokens=150,
        run=check_growth,
    ),
    Check(
        "usage.completion",
        "usage",
        "Is completion_tokens the number of tokens generated?",
        "Compares it with the number of log-probabilities of a text that max_tokens cuts.",
        tokens=25,
        run=confirmed(check_completion),
        requires=("logprobs",),
    ),
    Check(
        "usage.total",
        "usage",
        "Is total_tokens the sum?",
        "Adds prompt_tokens and completion_tokens.",
        tokens=50,
        run=check_total,
    ),
    Check(
        "usage.cached",
        "usage",
        "Are the cached tokens plausible?",
        "Sends a new long prompt twice. At first no more may be cached than a short prompt has; then no more than the "
        "prompt.",
        tokens=1600,
        run=check_cached,
    ),
    Check(
        "usage.n",
        "usage",
        "Does n multiply the completion only?",
        "Sends n 3, each choice cut by max_tokens.",
        tokens=50,
        run=confirmed(check_n),
        requires=("n",),
    ),
)
