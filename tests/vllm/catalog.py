"""Catalogs that name a real vLLM, and servers with such a catalog."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server import RunningServer, oruel_serve
from tests.vllm.vllm_process import MODEL

MODEL_LINES = """\
[[models]]
name = "{name}"
{settings}
"""
DEPLOYMENT_LINES = """\
[[models.deployments]]
name = "{name}-{number}"
engine = "vllm"
base_url = "{root}/v1"
model = "{served}"
tokenizer = "{tokenizer}"
{limits}
"""


def catalog_of(name: str, tokenizer: Path, *roots: str, settings: str = "", limits: str = "") -> str:
    """The model `name`, a deployment for each root. `settings` are lines of the model, `limits` of each deployment."""
    deployments = [
        DEPLOYMENT_LINES.format(name=name, number=number, root=root, served=MODEL, tokenizer=tokenizer, limits=limits)
        for number, root in enumerate(roots)
    ]
    return MODEL_LINES.format(name=name, settings=settings) + "\n".join(deployments)


@contextmanager
def serve_catalog(folder: Path, *models: str, flags: tuple[str, ...] = ()) -> Iterator[RunningServer]:
    """`folder` gets the catalog of `models`."""
    path = folder / "catalog.toml"
    path.write_text("\n".join(models))
    with oruel_serve("--catalog", str(path), *flags) as running:
        yield running
