"""The banner that `oruel serve` prints when it listens: the URL, the model, and two examples to paste."""

import json
import shlex

import structlog
import typer

from oruel.announcement import Announcement

log = structlog.get_logger("oruel.server")

CURL = """\
curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\
  {key}-d {body}"""

PYTHON = """\
{imports}

client = OpenAI(base_url={base_url}, api_key={key})
answer = client.chat.completions.create(
    model={model},
    messages=[{{"role": "user", "content": "Tell me a joke."}}],
    temperature=0.7,
)
print(answer.choices[0].message.content)"""


def print_banner(announcement: Announcement) -> None:
    """Prints the banner. If stdout can't be written, logs the URL instead: a full disk must not end the server."""
    try:
        typer.echo(render_banner(announcement))
    except OSError as error:
        reason = error.strerror or str(error)
        log.warning("the banner can't be written", reason=reason, url=announcement.url, model=announcement.model)


def render_banner(announcement: Announcement) -> str:
    names = ", ".join((announcement.model, *announcement.aliases, *announcement.others))
    return f"""
Oru'el listens on {announcement.url}

  model       {names}
{capacity_lines(announcement)}{ledger_lines(announcement)}{page_lines(announcement)}

From a shell:

{curl_example(announcement)}

From Python (pip install openai):

{python_example(announcement)}
"""


def capacity_lines(announcement: Announcement) -> str:
    """Empty if upstream servers run the first model."""
    if not announcement.parallel or announcement.context is None:
        return ""
    each = f"{announcement.context} tokens per request"
    context = f"  context     {each}, {announcement.kv} in total, {announcement.parallel} sequences at once\n"
    return context + "".join(
        f"  threads     {line}\n" for line in dict.fromkeys(map(describe_threads, announcement.threads))
    )


def ledger_lines(announcement: Announcement) -> str:
    keys = "required" if announcement.needs_key else "not required; oruel keys create makes the first"
    if announcement.store is None:
        keys, ledger = keys.partition(";")[0], "none: requests are not recorded"
    else:
        ledger = announcement.store
    return f"  ledger      {ledger}\n  API keys    {keys}\n"


def page_lines(announcement: Announcement) -> str:
    playground = f"  playground  {announcement.url}/\n" if announcement.playground else ""
    return f"{playground}  docs        {announcement.url}/docs"


def describe_threads(threads: tuple[int, int]) -> str:
    count, cores = threads
    return f"{count} of {cores} cores, adjusted as cores become busy or idle" if cores else f"{count}, fixed"


def curl_example(announcement: Announcement) -> str:
    messages = [{"role": "user", "content": "Tell me a joke."}]
    body = json.dumps({"model": announcement.model, "messages": messages})
    key = '-H "Authorization: Bearer $ORUEL_API_KEY" ' if announcement.needs_key else ""
    return CURL.format(url=announcement.url, key=key, body=shlex.quote(body))


def python_example(announcement: Announcement) -> str:
    imports = ["import os"] if announcement.needs_key else []
    return PYTHON.format(
        imports="\n".join([*imports, "from openai import OpenAI"]),
        base_url=json.dumps(f"{announcement.url}/v1"),
        key='os.environ["ORUEL_API_KEY"]' if announcement.needs_key else '"none"',
        model=json.dumps(announcement.model),
    )
