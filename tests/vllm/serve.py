"""Serves the demo model with vLLM until it is interrupted. Other arguments are given to vLLM."""

import argparse
import os
from pathlib import Path

from oruel.cli.model_source import bundled_model
from tests.vllm.catalog import catalog_of
from tests.vllm.vllm_process import MODEL, command, settings
from training.hugging_face import convert

HINT = """\
vLLM starts on {root}, half a minute. To put Oru'el in front of it, write into a file

{catalog}
and start `oruel serve --catalog FILE`.
"""


def demo_folder(environment: Path) -> Path:
    """The demo model in Hugging Face form, written there if it is missing or the bundled file is newer."""
    folder, bundled = environment / "demo-model", bundled_model()
    written = folder / "config.json"
    if not written.exists() or written.stat().st_mtime < bundled.stat().st_mtime:
        convert(bundled, folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, required=True, help="vLLM's virtual environment")
    parser.add_argument("--port", type=int, required=True)
    arguments, flags = parser.parse_known_args()
    model = demo_folder(arguments.environment.absolute())
    root = f"http://127.0.0.1:{arguments.port}"
    print(HINT.format(root=root, catalog=catalog_of(MODEL, model, root)), flush=True)
    run = command(arguments.environment, model, arguments.port, *flags)
    os.execve(run[0], run, settings())


if __name__ == "__main__":
    main()
