"""Finds out when a vLLM that failed can be used again."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from oruel.engine.vllm.engine import VLLMEngine
from oruel.errors import OruelError

# Between two probes, in seconds. The pause doubles while vLLM can't be used.
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 8.0


async def keep_probing(engine: VLLMEngine, recovered: Callable[[], None]) -> NoReturn:
    """Lets vLLM introduce itself again after each failure. A vLLM that answers its requests isn't asked. `recovered` is
    called when vLLM can be used again.
    """
    pause = SHORTEST_PAUSE
    while True:
        await asyncio.sleep(pause)
        if engine.is_trusted:
            pause = SHORTEST_PAUSE
            continue
        was_away = engine.problem is not None
        try:
            await engine.start()
        except OruelError:
            # PluginWatch has logged it, and the engine's `problem` says what it is.
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            if was_away:
                recovered()
