"""The request as code: it runs, and prints the reply that the page shows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.web.playground import Playground

pytestmark = pytest.mark.model

# What has to be escaped in a shell, in Python or in JavaScript.
PROMPT = "Don't say \"no\": what's `this`, $HOME or ${x}?\n\\n is 🌊 and é."
SETTINGS = {
    "temperature": 1.3,
    "top_k": 40,
    "seed": 7,
    "max_tokens": 40,
    "stop": ["\n\n", "it's"],
    "repetition_penalty": 1.05,
    "parallel_tool_calls": False,
    "logit_bias": {"342": -5},
}


@pytest.fixture
def sample(playground: Playground, request: pytest.FixtureRequest) -> tuple[str, str]:
    """The sample in a language, and the reply that the page shows."""
    reply = playground.text(playground.open(system="Answer 'briefly'.", **SETTINGS).ask(PROMPT))
    playground.parameters.get_by_role("tab", name="Code").click()
    playground.parameters.get_by_role("tab", name=request.param, exact=True).click()
    return playground.parameters.get_by_label("The request as code").inner_text(), reply


def printed(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl isn't installed")
@pytest.mark.parametrize("sample", ["curl"], indirect=True)
def test_the_curl_command_gets_the_same_reply(sample: tuple[str, str]) -> None:
    code, reply = sample
    answer = json.loads(printed("bash", "-c", code.replace("curl ", "curl --silent --show-error ", 1)))
    assert answer["choices"][0]["message"]["content"] == reply


@pytest.mark.parametrize("sample", ["Python"], indirect=True)
def test_the_python_program_gets_the_same_reply(sample: tuple[str, str]) -> None:
    code, reply = sample
    assert printed(sys.executable, "-c", code) == f"{reply}\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="Node isn't installed")
@pytest.mark.parametrize("sample", ["JavaScript"], indirect=True)
def test_the_javascript_program_gets_the_same_reply(sample: tuple[str, str], tmp_path: Path) -> None:
    code, reply = sample
    (tmp_path / "sample.mjs").write_text(code)
    assert printed("node", str(tmp_path / "sample.mjs")) == f"{reply}\n"
