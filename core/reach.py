"""Whether somebody listens at the address of a web server, told within a moment."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

WAIT_S = 3.0
"""For all addresses of a name together."""


def may_be_reached(url: str) -> bool:
    """Whether somebody takes a call there. Where a proxy stands between, only that one could tell: it may be so."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
    if getproxies().keys() & {parts.scheme, "all"} and not proxy_bypass(host):
        return True
    until_s = time.monotonic() + WAIT_S
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(_listens(*address, wait_s=until_s - time.monotonic()) for address in addresses)


def _listens(family: int, kind: int, protocol: int, _: str, address: Any, *, wait_s: float) -> bool:
    if wait_s <= 0:
        return False
    try:
        with socket.socket(family, kind, protocol) as call:
            call.settimeout(wait_s)
            call.connect(address)
    except OSError:
        return False
    return True
