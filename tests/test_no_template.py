"""A model without a chat template: the log, /v1/models and each answer report ChatML."""

from pathlib import Path

import httpx2
import pytest

from tests.gguf_models import Shape, byte_level, write_model
from tests.server import oruel_serve

pytestmark = pytest.mark.model


@pytest.mark.parametrize(("template", "expected"), [("", "chatml"), (None, "model")], ids=["none", "its own"])
def test_a_model_without_a_chat_template_is_reported_as_chatml(
    tmp_path: Path, template: str | None, expected: str
) -> None:
    tokenizer = byte_level()
    if template is not None:
        tokenizer.template = template
    path = write_model(tmp_path / "base.gguf", Shape("llama"), tokenizer, half=True, seed=1)
    with oruel_serve("--model", str(path), "--threads", "1") as server:
        (model,) = httpx2.get(f"{server.base_url}/models").json()["data"]
        body = {"model": "base", "max_tokens": 2, "messages": [{"role": "user", "content": "Hello"}]}
        answer = httpx2.post(f"{server.base_url}/chat/completions", json=body, timeout=30)
        warned = any("has no chat template" in line for line in server.lines)
    assert answer.status_code == 200
    assert model["chat_template"] == expected
    assert warned == (expected == "chatml")
    differs = answer.headers.get("x-oruel-differs", "")
    assert ("ChatML is used" in differs) == (expected == "chatml")
