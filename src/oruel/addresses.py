"""Network addresses: which ones only this machine can reach, and the URL of a listening server."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. A name other than localhost may resolve to any address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local_url(url: str) -> bool:
    """Whether to bypass the proxy from the environment, which can't reach this machine's loopback addresses."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def server_url(host: str, port: int) -> str:
    """The URL at which this machine reaches a server that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
