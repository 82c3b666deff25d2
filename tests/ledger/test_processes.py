"""What other users of the machine, and core files, can learn from the processes of a running server."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from oruel.ledger.administration import Administration
from oruel.ledger.database import Database
from oruel.ledger.key import KeySecret
from oruel.ledger.key_terms import KeyTerms
from tests.ledger.gateway import CHAT, SECRET
from tests.server import RunningServer, oruel_serve

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs the files of /proc"),
]

ACCOUNT = "Hidden Customer Ltd"
PROMPT = "a prompt that only the engine and the jobs may know"


@dataclass
class Used:
    """A server that has answered with `key`."""

    server: RunningServer
    key: str
    location: str

    @property
    def api(self) -> int:
        return self.server.process.pid

    @property
    def others(self) -> list[int]:
        """The engine and the job server."""
        return descendants(self.api)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    location = str(tmp_path_factory.mktemp("store") / "ledger.db")
    store = Database.open(location)
    administration = Administration(store, KeySecret(SECRET.encode()))
    administration.create_account(ACCOUNT)
    key = administration.create_key(ACCOUNT, KeyTerms())[1]
    environment = {"ORUEL_STORE": location, "ORUEL_KEY_SECRET": SECRET, "ORUEL_API_KEY": "sk-own-key-of-the-server"}
    with oruel_serve("--threads", "1", environment=environment) as server:
        with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {key}"}, timeout=60) as client:
            for stream in (False, True):
                messages = [{"role": "user", "content": PROMPT}]
                answer = client.post(
                    CHAT, json={"model": "oruel-demo", "messages": messages, "max_tokens": 3, "stream": stream}
                )
                assert answer.status_code == 200, answer.text
            tokens = client.post(
                "/tokenize", json={"messages": [{"role": "user", "content": PROMPT}], "model": "oruel-demo"}
            )
            assert tokens.status_code == 200
        yield Used(server, key, location)
    store.close()


def read_proc(pid: int, name: str) -> str:
    """Empty for a process that has ended: those of the jobs are short-lived."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descendants(pid: int) -> list[int]:
    children = [int(child) for task in tasks(pid) for child in read_proc(pid, f"task/{task}/children").split()]
    return children + [one for child in children for one in descendants(child)]


def tasks(pid: int) -> list[str]:
    with suppress(FileNotFoundError):
        return os.listdir(f"/proc/{pid}/task")
    return []


def memory(pid: int) -> Iterator[bytes]:
    """The memory of a process that it can write to, as a core file would hold it."""
    regions = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", read_proc(pid, "maps"), re.M)
    with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for start, end in regions:
            file.seek(int(start, 16))
            # Pages that a device has mapped can't be read.
            with suppress(OSError):
                yield file.read(int(end, 16) - int(start, 16))


def found_in_memory(pid: int, *texts: str) -> set[str]:
    found: set[str] = set()
    for region in memory(pid):
        found |= {text for text in texts if text not in found and text.encode() in region}
    return found


def test_the_process_list_shows_no_secret(used: Used) -> None:
    """Anyone may read the command lines."""
    assert len(used.others) >= 2
    for pid in (used.api, *used.others):
        command = read_proc(pid, "cmdline")
        assert not [text for text in (used.key, SECRET, "sk-own-key", ACCOUNT, used.location) if text in command]


def test_engine_and_jobs_get_no_secret_in_their_environment(used: Used) -> None:
    for pid in used.others:
        environment = read_proc(pid, "environ")
        assert not [text for text in (used.key, SECRET, "sk-own-key", "ORUEL_", used.location) if text in environment]


def test_the_memory_of_engine_and_jobs_holds_no_key(used: Used) -> None:
    """Nor their core files: keys and accounts never reach these processes."""
    digest = KeySecret(SECRET.encode()).digest(used.key)
    hidden = (used.key, SECRET, "sk-own-key", digest, ACCOUNT, used.location)
    for pid in used.others:
        assert found_in_memory(pid, *hidden) == set()
    assert SECRET in found_in_memory(used.api, SECRET), "the search finds what is there"


def test_no_process_writes_a_core_file(used: Used) -> None:
    """One byte is less than any core file, and keeps Linux from passing the core to another program."""
    found = [
        int(limit)
        for pid in (used.api, *used.others)
        for limit in re.findall(r"^Max core file size +(\d+) ", read_proc(pid, "limits"), re.M)
    ]
    assert len(found) >= 3
    assert max(found) <= 1


def test_the_log_holds_no_secret(used: Used) -> None:
    log = "".join(used.server.lines)
    assert "/v1/chat/completions" in log
    assert not [text for text in (used.key, SECRET, "sk-own-key", ACCOUNT, PROMPT) if text in log]
