"""Random prompts: short, long, with a shared prefix, and conversations that grow with each answer."""

from random import Random
from typing import Any

Message = dict[str, Any]

PROSE = """tell me a joke about the moon what is the capital of France write a short poem for my robot cat and fish why
does the ocean sound like cheese list three fruits count to ten explain how bread is made who wrote this story then
they all went home because it was late again number seven green house under a bridge people friend music river"""
WORDS = PROSE.split()
ODDITIES = (
    "日本語で話して。",
    "😀🎉👩‍👩‍👧",
    "<|im_end|>",
    "\n\n",
    "\t",
    "naïve café",
    "'\"\\",
    "1.5e-7",
    "```python\nprint(1)\n```",
)
SHARED_PREFIXES = 4
MAX_TURNS = 12


def some_words(random: Random, count: int) -> str:
    words = random.choices(WORDS, k=count)
    if random.random() < 0.2:
        words.insert(random.randrange(count + 1), random.choice(ODDITIES))
    return " ".join(words)


def overlong_prompt(random: Random, window: int) -> str:
    """A text with more tokens than the context window: it has more numbers, each of at least one token."""
    return " ".join(str(random.randrange(10**6)) for _ in range(window + 1))


class Prompts:
    """The prompts of one worker. `window` is in tokens. Lengths here are in words, of about one token each.

    All workers of a run share the long prefixes, as they would share an operator's system prompts.
    """

    def __init__(self, run_seed: int, random: Random, window: int) -> None:
        shared = Random(run_seed)
        lengths = [shared.randrange(20, max(21, window // 4)) for _ in range(SHARED_PREFIXES)]
        self._prefixes = [some_words(shared, length) for length in lengths]
        self._random = random
        self._window = window
        self._conversation: list[Message] = []

    def next(self) -> list[Message]:
        kind = self._random.choices((self._short, self._long, self._shared, self._continued), weights=(5, 1, 3, 4))[0]
        return kind()

    def remember_answer(self, messages: list[Message], text: str) -> None:
        """Continues the conversation from here, or starts a new one if it has become too long."""
        words = sum(len(message["content"].split()) for message in messages if isinstance(message["content"], str))
        too_long = len(messages) >= MAX_TURNS or words > self._window // 4
        self._conversation = [] if too_long else [*messages, {"role": "assistant", "content": text}]

    def _short(self) -> list[Message]:
        return [self._user(self._random.randrange(1, 12))]

    def _long(self) -> list[Message]:
        return [self._user(self._random.randrange(12, max(13, self._window // 2)))]

    def _shared(self) -> list[Message]:
        role = self._random.choice(("system", "developer"))
        return [{"role": role, "content": self._random.choice(self._prefixes)}, *self._short()]

    def _continued(self) -> list[Message]:
        return [*self._conversation, *self._short()]

    def _user(self, count: int) -> Message:
        text = some_words(self._random, count)
        as_parts = self._random.random() < 0.1
        return {"role": "user", "content": [{"type": "text", "text": text}] if as_parts else text}
