"""GET / is the playground, and GET /web/… are its styles and scripts: files of the package, read once at start. A path
is looked up among these files and never reaches the file system.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from oruel.api.services import Endpoint
from oruel.contract.kinds import abbreviate
from oruel.errors import NotFound

PAGE = "/"
FOLDER = "/web/"
# GET /docs uses the styles as well, so they are served without the playground too.
STYLES = f"{FOLDER}css/"
MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.content).hexdigest()[:32]}"')


def read_assets() -> Mapping[str, Asset]:
    """The served files by the path of their URL."""
    root = Path(str(resources.files("oruel") / "web"))
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.suffix in MEDIA_TYPES}
    return {
        PAGE if name == "index.html" else FOLDER + name: Asset(path.read_bytes(), MEDIA_TYPES[path.suffix])
        for name, path in files.items()
    }


def web_endpoint(*, enabled: bool) -> Endpoint:
    """Serves all assets, or only the styles if the playground is turned off."""
    assets = {path: asset for path, asset in read_assets().items() if enabled or path.startswith(STYLES)}

    async def read_asset(request: Request) -> Response:
        asset = assets.get(request.scope["path"])
        if asset is None:
            raise NotFound(missing_file(request.scope["path"], enabled=enabled))
        headers = page_headers(POLICY) | {"etag": asset.etag}
        if is_current(request.headers.get("if-none-match", ""), asset.etag):
            return Response(status_code=304, headers=headers)
        return Response(asset.content, headers=headers, media_type=asset.media_type)

    return read_asset


def missing_file(path: str, *, enabled: bool) -> str:
    if enabled:
        return f"The playground has no file {abbreviate(path, 80)}. It is at GET /."
    return "The playground is turned off: the server runs with --no-web or web = false. GET /docs lists the endpoints."


def is_current(if_none_match: str, etag: str) -> bool:
    """Whether the client's copy, which the header If-None-Match names, is the current one."""
    return etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))


def page_headers(policy: str) -> dict[str, str]:
    """The headers of everything that browsers show. Browsers may keep a copy, but ask each time whether it is current,
    so that a page never runs with the scripts of another version.
    """
    return {
        "cache-control": "no-cache",
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
