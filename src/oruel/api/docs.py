"""GET /docs: the parameter page, generated from the declarations. Each example opens in the playground. The page needs
no scripts, and only the styles that this server sends.
"""

import json
from collections.abc import Iterable
from html import escape
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from oruel.api.services import Endpoint
from oruel.api.web import PAGE, STYLES, page_headers
from oruel.contract.examples import Example
from oruel.contract.parameters import PARAMETERS, USE_CASES, Parameter

POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

ENDPOINTS = (
    ("POST /v1/chat/completions", "a chat completion, whole or streamed"),
    ("GET /v1/models", "the models and their aliases"),
    ("GET /v1/parameters", "this page as JSON"),
    ("POST /tokenize", "the token ids of a text or of messages"),
    ("GET /v1/usage", "what the key has used, and what it cost"),
    ("GET, POST /v1/admin/accounts", "the accounts; needs a key with the scope admin"),
    ("POST /v1/admin/accounts/{id}/credits", "the account with a larger balance"),
    ("GET, POST /v1/admin/keys", "the keys, without their secrets; a new key"),
    ("DELETE /v1/admin/keys/{id}", "the revoked key"),
    ("GET /health", "the health of the server"),
    ("GET /metrics", "metrics in Prometheus' text format"),
)
USE_CASE_HEADS = ("Use case", "temperature", "top_p", "max_tokens", "Other")


def docs_endpoint(*, playground: bool) -> Endpoint:
    """`playground`: whether the playground is served, so that examples can link to it."""
    html = page(playground=playground)

    async def read_docs(request: Request) -> Response:
        return HTMLResponse(html, headers=page_headers(POLICY))

    return read_docs


def page(*, playground: bool) -> str:
    groups = tuple(dict.fromkeys(parameter.group for parameter in PARAMETERS))
    home = f'<a href="{PAGE}">Playground</a>' if playground else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Oru'el: inference parameters</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{STYLES}theme.css">
<link rel="stylesheet" href="{STYLES}docs.css">
</head>
<body>
<a class="skip" href="#main">Skip to the parameters</a>
<header>
<p class="brand"><span class="mark" aria-hidden="true"></span>Oru'el</p>
<nav aria-label="Site">{home}<a href="/openapi.json">OpenAPI</a></nav>
</header>
<div class="columns">
<nav class="contents" aria-label="Contents">{"".join(map(group_links, groups))}{MORE_LINKS}</nav>
<main id="main">
<h1>Inference parameters</h1>
<p class="lead">Each parameter is honoured exactly, or the request is refused with an error that names it.</p>
{"".join(group_section(group, playground=playground) for group in groups)}
<h2 id="use-cases">Settings by use case</h2>
{table(USE_CASE_HEADS, ((u.name, u.temperature, u.top_p, u.max_tokens, u.other) for u in USE_CASES))}
<h2 id="endpoints">Endpoints</h2>
<p>The paths under /v1 are also available under /v1/inference. The schema of every endpoint is in
<a href="/openapi.json">/openapi.json</a>.</p>
{table(("Endpoint", "Returns"), ENDPOINTS)}
</main>
</div>
</body>
</html>
"""


MORE_LINKS = """<h2>More</h2><ul>
<li><a href="#use-cases">Settings by use case</a></li><li><a href="#endpoints">Endpoints</a></li></ul>"""


def group_links(group: str) -> str:
    links = "".join(f'<li><a href="#{name}"><code>{name}</code></a></li>' for name in names_of(group))
    return f"<h2>{escape(group)}</h2><ul>{links}</ul>"


def names_of(group: str) -> Iterable[str]:
    return (parameter.name for parameter in PARAMETERS if parameter.group == group)


def group_section(group: str, *, playground: bool) -> str:
    entries = (parameter_entry(one, playground=playground) for one in PARAMETERS if one.group == group)
    return f"<section><h2>{escape(group)}</h2>{''.join(entries)}</section>"


def parameter_entry(parameter: Parameter, *, playground: bool) -> str:
    default = parameter.default_note or "not set" if parameter.default is None else json.dumps(parameter.default)
    details = "".join(f"<li>{escape(detail)}</li>" for detail in parameter.details)
    example = example_figure(parameter.example, playground=playground) if parameter.example else ""
    return f"""
<article id="{parameter.name}">
<h3><a href="#{parameter.name}"><code>{parameter.name}</code></a></h3>
<p>{escape(parameter.summary)}</p>
<dl><dt>Allowed</dt><dd>{escape(str(parameter.kind))}</dd><dt>Default</dt><dd>{escape(default)}</dd></dl>
{f"<ul>{details}</ul>" if details else ""}
{example}
</article>"""


def example_figure(example: Example, *, playground: bool) -> str:
    link = f'<a href="{escape(playground_address(example))}">Open in the playground</a>' if playground else ""
    system = f"<p><span>System:</span> {escape(example.system)}</p>" if example.system else ""
    return f"""<figure>
<figcaption>{system}<p>{escape(example.prompt)}</p></figcaption>
<pre><code>{escape(format_fields(example))}</code></pre>
{link}</figure>"""


def format_fields(example: Example) -> str:
    return "{" + ",\n ".join(f'"{name}": {json.dumps(value)}' for name, value in example.fields.items()) + "}"


def playground_address(example: Example) -> str:
    """The playground with the example loaded. Values other than strings are JSON."""
    system = {"system": example.system} if example.system else {}
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in example.fields.items()}
    return f"{PAGE}#{urlencode({'prompt': example.prompt, **system, **fields}, quote_via=quote)}"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
