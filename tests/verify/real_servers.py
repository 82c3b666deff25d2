"""What `oruel verify` measured on real servers: the data next to this file, and the tables of docs/verify.md.

`python -m tests.verify.real_servers NAME REPORT...` replaces the data of a server of SERVERS by that of the JSON
reports, one for each profile. With or without, it rewrites the tables.
"""

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oruel.backends.abilities import DIFFERS
from oruel.types import UpstreamKind

DATA = Path(__file__).with_suffix(".json")
PAGE = Path(__file__).parents[2] / "docs" / "verify.md"
TABLES = re.compile(r"(?<=tests/verify/test_real_servers.py -->\n).*?(?=<!-- end of real servers -->)", re.DOTALL)
DEMO = "src/oruel/models/oruel-demo.gguf"

Measured = dict[str, Any]
"""By profile: when it ran, what it cost, and the words of each verdict by the name of its check."""


@dataclass(frozen=True, slots=True)
class Server:
    """`served` are the commands that served it, `url` what was verified. `upstream` names the server whose table it
    shares: only what differs from it is shown.
    """

    title: str
    served: str
    url: str
    options: str = ""
    note: str = ""
    upstream: str = ""


WHAT_REMAINS = "[catalog.md](catalog.md#the-catalog) lists what remains. Without `accepts`, it is refused."


def oruel_before(kind: UpstreamKind, served: str, port: int, model: str) -> str:
    """Commands and catalog that put Oru'el on the next port in front of a server of this kind, with every parameter
    accepted that the server honours differently.
    """
    accepts = textwrap.fill(", ".join(f'"{name}"' for name in DIFFERS[kind]), 100, subsequent_indent=" " * 11)
    return f"""\
{served}
oruel serve --port {port + 1} --catalog catalog.toml

# catalog.toml
[[models]]
name = "oruel-demo"
context = 4096
[[models.deployments]]
name = "{kind}"
base_url = "http://127.0.0.1:{port}/v1"
kind = "{kind}"
model = "{model}"
accepts = [{accepts}]"""


def llama_server(port: int) -> str:
    return f"python -m bench.llama_server {DEMO} {port} 1 8 4096   # threads, slots, context of each slot"


def vllm(port: int) -> str:
    return (
        "VLLM_CPU_KVCACHE_SPACE=1 OMP_NUM_THREADS=1 vllm serve FOLDER --served-model-name oruel-demo \\\n"
        "  --enforce-eager --dtype float32 --max-model-len 4096 --max-logprobs 20 \\\n"
        f"  --enable-auto-tool-choice --tool-call-parser hermes --host 127.0.0.1 --port {port}"
    )


SERVERS: Mapping[str, Server] = {
    "oruel": Server(
        "Oru'el with its own engine",
        "oruel serve --port 8172 --threads 1",
        "http://127.0.0.1:8172/v1",
        "--model oruel-demo",
        note="Oru'el's contract has another default temperature than OpenAI's, and `n` up to 8.",
    ),
    "llama-server": Server(
        "llama.cpp's server, b11549 (in xllamacpp 2026.10.11549)",
        llama_server(8175),
        "http://127.0.0.1:8175/v1",
        note="Its `n` is limited by its slots, here 8. Its defaults `top_p` 0.95 and `min_p` 0.05 act together: on the "
        "prompt of `defaults.filters`, they leave what `top_p` 0.9 would.",
    ),
    "oruel-before-llama-server": Server(
        "Oru'el in front of llama.cpp's server",
        oruel_before("llama-server", llama_server(8173), 8173, DEMO),
        "http://127.0.0.1:8174/v1",
        note=f"{WHAT_REMAINS} Which JSON documents are cut, or fail with status 502, varies by run.",
    ),
    "litellm": Server(
        "LiteLLM's proxy 1.106.0 in front of llama.cpp's server",
        f"{llama_server(8176)}\nLITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=true \\\n"
        "  litellm --config config.yaml --host 127.0.0.1 --port 8177 --num_workers 1\n\n"
        "# config.yaml\n"
        '{"model_list": [{"model_name": "demo", "litellm_params":\n'
        '  {"model": "openai/demo", "api_base": "http://127.0.0.1:8176/v1", "api_key": "x"}}]}',
        "http://127.0.0.1:8177/v1",
        upstream="llama-server",
    ),
    "llama-cpp-python": Server(
        "llama-cpp-python's server 0.3.36, built from source",
        f"python -m llama_cpp.server --model {DEMO} --n_ctx 4096 --n_threads 1 --host 127.0.0.1 --port 8180",
        "http://127.0.0.1:8180/v1",
        note="It refuses invalid values with status 500, naming the field, and gives one choice whatever `n` is. "
        "`repeat_penalty` 1.1 acts unless it is sent under this name.",
    ),
    "vllm": Server(
        "vLLM 0.32.0 on the CPU (the package vllm-cpu), with the demo model in F32",
        vllm(8178),
        "http://127.0.0.1:8178/v1",
    ),
    "oruel-before-vllm": Server(
        "Oru'el in front of vLLM",
        oruel_before("vllm", vllm(8178), 8178, "oruel-demo"),
        "http://127.0.0.1:8179/v1",
        note=WHAT_REMAINS,
    ),
}


def condensed(report: Mapping[str, Any]) -> Measured:
    return {
        "started": report["started"],
        "tokens": report["cost"]["tokens"],
        "requests": report["cost"]["requests"],
        "verdicts": {
            check["name"]: ": ".join(filter(None, (check["outcome"], check["how"]))) for check in report["checks"]
        },
    }


def measured() -> dict[str, dict[str, Measured]]:
    """By server and profile."""
    found: dict[str, dict[str, Measured]] = json.loads(DATA.read_text())
    return found


def tables() -> str:
    data = measured()
    return "\n".join(section for name in SERVERS if name in data for section in section_of(name, data))


def section_of(name: str, data: Mapping[str, Mapping[str, Measured]]) -> Iterator[str]:
    server, runs = SERVERS[name], data[name]
    yield f"### {server.title}\n"
    commands = "\n".join(
        f"oruel verify {server.url} --profile {profile} --seed 1 {server.options}".strip() for profile in runs
    )
    yield f"```sh\n{server.served}\n\n{commands}\n```\n"
    for profile, run in runs.items():
        counts = f"{run['tokens']:,} tokens in {run['requests']:,} requests"
        yield f"Profile `{profile}`, {run['started'][:10]}: {score(run)} checks honoured, {counts}.\n"
    if server.note:
        yield f"{server.note}\n"
    rows = list(rows_of(runs, data.get(server.upstream, {})))
    if server.upstream:
        yield f"As {SERVERS[server.upstream].title}, but:\n"
    if rows:
        yield "\n".join(["| check | profile | verdict |", "|---|---|---|", *rows, ""])


def score(run: Measured) -> str:
    told = [words for words in run["verdicts"].values() if not words.startswith("can't tell")]
    return f"{told.count('honoured')} of {len(told)}"


def rows_of(runs: Mapping[str, Measured], upstream: Mapping[str, Measured]) -> Iterator[str]:
    """A row for each check and each of its verdicts, unless it is honoured, or that of the upstream server."""
    names = dict.fromkeys(name for run in runs.values() for name in run["verdicts"])
    for name in names:
        profiles_of: dict[str, list[str]] = {}
        for profile, run in runs.items():
            words = run["verdicts"].get(name, "honoured")
            if words != (upstream[profile]["verdicts"][name] if profile in upstream else "honoured"):
                profiles_of.setdefault(words, []).append(profile)
        for words, profiles in profiles_of.items():
            yield f"| `{name}` | {', '.join(profiles)} | {words.replace('|', chr(92) + '|')} |"


def replace_data(name: str, *paths: str) -> None:
    data = measured() if DATA.exists() else {}
    reports = [json.loads(Path(path).read_text()) for path in paths]
    data[name] = {report["profile"]: condensed(report) for report in reports}
    in_order = {known: data[known] for known in SERVERS if known in data}
    DATA.write_text(json.dumps(in_order, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        replace_data(*sys.argv[1:])
    PAGE.write_text(TABLES.sub(lambda _: tables(), PAGE.read_text()))
