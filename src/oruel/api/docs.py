"""GET /docs: the parameter page, generated from the declarations. A single file that loads nothing from other hosts."""

import base64
import hashlib
import json
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from oruel.api.services import Endpoint
from oruel.contract.parameters import PARAMETERS, USE_CASES, Parameter

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; }
ul { margin: .2rem 0; padding-left: 1.2rem; opacity: .8; }
:root { color-scheme: light dark; }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"

ENDPOINTS = (
    ("POST /v1/chat/completions", "a chat completion, whole or streamed"),
    ("GET /v1/models", "the models and their aliases"),
    ("GET /v1/parameters", "this page as JSON"),
    ("POST /tokenize", "the token ids of a text or of messages"),
    ("GET /health", "the health of the server"),
    ("GET /metrics", "metrics in Prometheus' text format"),
)


def docs_endpoint() -> Endpoint:
    html = page()

    async def read_docs(request: Request) -> Response:
        return HTMLResponse(html, headers={"content-security-policy": POLICY})

    return read_docs


def page() -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Oru'el: inference parameters</title><style>{STYLE}</style></head>
<body><h1>Inference parameters</h1>
<p>Each parameter is honoured exactly, or the request is refused with an error that names it.
The schema of every endpoint is in <a href="/openapi.json">/openapi.json</a>.
The paths under /v1 are also available under /v1/inference.</p>
{table(("Endpoint", "Returns"), [(f"<code>{escape(name)}</code>", escape(returned)) for name, returned in ENDPOINTS])}
<h2>Parameters</h2>
{table(("Name", "Allowed", "Default", "What it does"), [parameter_row(parameter) for parameter in PARAMETERS])}
<h2>Settings by use case</h2>
{table(("Use case", "temperature", "top_p", "max_tokens", "Other"), use_case_rows())}
</body></html>
"""


def parameter_row(parameter: Parameter) -> tuple[str, ...]:
    default = parameter.default_note or "not set" if parameter.default is None else json.dumps(parameter.default)
    details = "".join(f"<li>{escape(detail)}</li>" for detail in parameter.details)
    return (
        f'<code id="{parameter.name}">{parameter.name}</code>',
        escape(str(parameter.kind)),
        escape(default),
        f"{escape(parameter.summary)}<ul>{details}</ul>" if details else escape(parameter.summary),
    )


def use_case_rows() -> list[tuple[str, ...]]:
    return [tuple(escape(cell) for cell in (u.name, u.temperature, u.top_p, u.max_tokens, u.other)) for u in USE_CASES]


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
