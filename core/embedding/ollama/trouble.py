"""What can go wrong between the client and the server, sorted by what may be done about it."""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from ...secrets import redact

SHOWN_CHARS = 200
"""Of a server's own words: the rest, up to many megabytes, says no more."""


class Kind(Enum):
    """What may help. The first six may pass by themselves; the others say the same each time."""

    CONNECT = auto()  # nobody listens
    LOST = auto()  # the connection ended in the middle
    SILENT = auto()  # nothing came in time
    BUSY = auto()  # 503: the queue is full
    REFUSED = auto()  # an error that may be anybody's: a runner that crashed gives a 400 as well
    BAD = auto()  # an answer that cannot be used: cut off, or with vectors of zeros or nulls
    INPUT = auto()  # an error about a text
    LONG = auto()  # a text is longer than the model's context
    MODEL = auto()  # the server has not the model
    UNFIT = auto()  # the model makes no vectors, or others than the table has
    FOREIGN = auto()  # something else than Ollama answers, or it sends us elsewhere


PASSING = frozenset({Kind.CONNECT, Kind.LOST, Kind.SILENT, Kind.BUSY, Kind.REFUSED, Kind.BAD})
# As Ollama's server and its runners have worded it from version to version.
_LONG = ("exceeds the context length", "exceeds maximum context length", "exceed maximum context length",
         "too large to process", "exceeds the available context", "input is too long")  # fmt: skip
_INPUT = ("invalid input type", "nan or inf", "unsupported value: nan", "unsupported value: +inf")


class Trouble(Exception):
    """`what` says it without its full stop. `row`: the text it is about, counted within the request, where known."""

    def __init__(self, kind: Kind, what: str, *, row: int | None = None) -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.row = row


def of_status(status: int, body: bytes, *, path: str, location: str = "") -> Trouble:
    """The trouble of an answer whose status is not 200; `path` was asked for."""
    said = _said(body)
    words = f"answered {path} with status {status}" + (f": {said}" if said else "")
    lower = said.lower()
    if 300 <= status < 400:
        where = f" to {excerpt(location)}" if location else ""
        return Trouble(Kind.FOREIGN, f"sends the request elsewhere{where} (status {status}), and that is not followed")
    if any(part in lower for part in _LONG):
        return Trouble(Kind.LONG, words)
    if any(part in lower for part in _INPUT):
        return Trouble(Kind.INPUT, words)
    if status == 404:
        return Trouble(Kind.MODEL if "model" in lower else Kind.FOREIGN, words)
    if status in (429, 502, 503, 504):
        return Trouble(Kind.BUSY, words)
    if "not support embed" in lower:
        return Trouble(Kind.UNFIT, f"does not embed: Ollama {words}")
    if status in (401, 403, 405, 407, 411, 501):
        return Trouble(Kind.FOREIGN, words)
    return Trouble(Kind.REFUSED, words)


def excerpt(text: str) -> str:
    """The beginning of foreign text, on one line and with secrets hidden."""
    short = " ".join(text[: 8 * SHOWN_CHARS].split())
    shown = redact(short)
    return shown if len(shown) <= SHOWN_CHARS else shown[:SHOWN_CHARS].rstrip() + "…"


def _said(body: bytes) -> str:
    """What an error says, in Ollama's form or as it stands."""
    try:
        error = msgspec.json.decode(body)["error"]
    except (msgspec.MsgspecError, TypeError, KeyError, UnicodeDecodeError):
        cut_off = body.removeprefix(b'{"error":"')
        return "a page of HTML" if is_html(body) else excerpt(cut_off.decode(errors="replace"))
    return excerpt(error if isinstance(error, str) else str(error))


def is_html(body: bytes) -> bool:
    """Whether a web page came instead of an answer."""
    return body.lstrip()[:1] == b"<"
