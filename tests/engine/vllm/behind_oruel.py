"""A stub of vLLM that serves a model in Hugging Face form, and catalogs that name it."""

from pathlib import Path
from typing import Any

import msgspec

from oruel.engine.vllm.wire import vocabulary_digest
from oruel.hugging_face.folder import ModelFolder
from tests.engine.vllm.stub_vllm import REPLY, StubVLLM


def stub_of(folder: Path, **more: Any) -> StubVLLM:
    """A vLLM that has the tokenizer in `folder`."""
    vocabulary = ModelFolder(folder).vocabulary
    reply = msgspec.structs.replace(REPLY, vocabulary_size=vocabulary.size, tokenizer=vocabulary_digest(vocabulary))
    return StubVLLM(reply=reply, **more)


def changed_stub(folder: Path, reply: dict[str, Any], **more: Any) -> StubVLLM:
    """Like `stub_of`, but its plugin says `reply` of itself."""
    stub = stub_of(folder, **more)
    stub.reply = msgspec.structs.replace(stub.reply, **reply)
    return stub


def deployment(name: str, root: str, folder: Path, *more: str) -> str:
    """A deployment of a catalog."""
    lines = (
        "[[models.deployments]]",
        f'name = "{name}"',
        'engine = "vllm"',
        f'base_url = "{root}/v1"',
        'model = "demo"',
        f'tokenizer = "{folder}"',
        *more,
    )
    return "\n".join(lines) + "\n"


def catalog_text(*deployments: str, settings: str = "") -> str:
    """A catalog with the model "m", which has these `settings`."""
    return f'[[models]]\nname = "m"\n{settings}\n' + "\n".join(deployments)
