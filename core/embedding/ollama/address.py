"""Where the Ollama server is: the grammar of OLLAMA_HOST, as Ollama's own client reads it (envconfig.Host).

Nothing heavy is imported: the settings are read before the first word.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import quote

from ...errors import UsageError

VARIABLE = "OLLAMA_HOST"
DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535
_HINT = "Write it as http://127.0.0.1:11434; without a scheme the port is 11434, with http:// 80, with https:// 443."


def parse(text: str, *, where: str) -> str:
    """The server's base URL (`http://127.0.0.1:11434`), without a slash at its end.

    The scheme is optional; with one the port is that of the scheme, without 11434. An address that only a server
    can have, such as 0.0.0.0, becomes that of this machine. A port that is none is Ollama's default where `where`,
    which names the text in errors, is OLLAMA_HOST, as Ollama's own client has it.
    Raises UsageError for anything else than http and https, for a user or a password in it, and for a bad host.
    """
    text = text.strip().strip("\"'").strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    scheme = scheme.lower()
    if scheme not in _SCHEME_PORTS:
        raise UsageError(f"{where} has the scheme {scheme!r}, and Ollama speaks http or https", hint=_HINT)
    authority, _, path = rest.partition("/")
    if "@" in authority:
        raise UsageError(
            f"{where} holds a user or a password, which would be written down with the run",
            hint="Let a proxy on this machine add it, and give the proxy's address.",
        )
    default = _SCHEME_PORTS[scheme] if separator else DEFAULT_PORT
    host, port = _split(authority)
    number = _port(port, default, where=where)
    path = path.rstrip("/")
    return f"{scheme}://{_host(host, where=where)}:{number}" + (f"/{quote(path, safe='/%')}" if path else "")


def is_loopback(url: str) -> bool:
    """Whether a base URL leads to this machine: no proxy is asked for it."""
    host = url.partition("://")[2].partition("/")[0].rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(authority: str) -> tuple[str, str]:
    """Host and port as text, either of which may be empty; IPv6 addresses with brackets or, without a port, bare."""
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        return host, port.removeprefix(":")
    if authority.count(":") > 1:
        return authority, ""
    host, _, port = authority.partition(":")
    return host, port


def _port(text: str, default: int, *, where: str) -> int:
    if not text:
        return default
    if text.isascii() and text.isdecimal() and 0 < int(text) <= _HIGHEST_PORT:
        return int(text)
    if where == VARIABLE:
        return default
    raise UsageError(f"{where} has the port {text!r}, which is no number from 1 to {_HIGHEST_PORT}", hint=_HINT)


def _host(text: str, *, where: str) -> str:
    try:
        address = ipaddress.ip_address(text or "127.0.0.1")
    except ValueError:
        if any(not (c.isalnum() or c in "-._") for c in text):
            raise UsageError(f"{where} has the host {text!r}, which is no name and no address", hint=_HINT) from None
        return text
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    return f"[{address}]" if address.version == 6 else str(address)
