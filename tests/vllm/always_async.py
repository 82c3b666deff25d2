"""A plugin of vLLM's that leaves async scheduling on, which vLLM turns off on a CPU though it works there."""

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
METADATA = "Metadata-Version: 2.1\nName: always-async\nVersion: 1\n"
ENTRY_POINTS = "[vllm.general_plugins]\nalways_async = tests.vllm.always_async:register\n"


def register() -> None:
    """vLLM calls this in each of its processes, perhaps again and again."""
    from vllm.platforms.cpu import CpuPlatform

    complete = CpuPlatform.check_and_update_config

    def complete_and_schedule_ahead(config: Any) -> None:
        complete(config)
        config.scheduler_config.async_scheduling = True

    CpuPlatform.check_and_update_config = staticmethod(complete_and_schedule_ahead)


def install(folder: Path) -> str:
    """What vLLM's PYTHONPATH needs."""
    described = folder / "always_async-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(METADATA)
    (described / "entry_points.txt").write_text(ENTRY_POINTS)
    return f"{folder}:{ROOT}"
