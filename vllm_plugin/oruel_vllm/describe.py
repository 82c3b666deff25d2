"""What vLLM's configuration says about the engine, for the answer to Oru'el's greeting."""

from typing import Any

import vllm
import vllm.envs

from oruel.engine.vllm.wire import HelloReply
from oruel_vllm import __version__


def describe_engine(config: Any, runner: str) -> HelloReply:
    """`config` is a vllm.config.VllmConfig; `runner` is the model runner, "v1" or "v2"."""
    model, parallel, scheduler = config.model_config, config.parallel_config, config.scheduler_config
    return HelloReply(
        plugin=__version__,
        vllm=vllm.__version__,
        model=str(model.model),
        vocabulary_size=model.get_vocab_size(),
        tokenizer="",
        window=model.max_model_len,
        max_logprobs=model.max_logprobs,
        parallel=scheduler.max_num_seqs,
        runner=runner,
        dtype=str(model.dtype).removeprefix("torch."),
        ranks=parallel.world_size,
        priority_scheduling=scheduler.policy == "priority",
        prefix_caching=bool(config.cache_config.enable_prefix_caching),
        async_scheduling=bool(scheduler.async_scheduling),
        speculative_decoding=config.speculative_config is not None,
        batch_invariant=bool(vllm.envs.VLLM_BATCH_INVARIANT),
    )
