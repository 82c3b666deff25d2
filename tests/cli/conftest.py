from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.chat_server import ChatServer, run_chat_server
from tests.cli.command_line import CommandLine


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with run_chat_server() as server:
        yield server


@pytest.fixture
def oruel(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)
