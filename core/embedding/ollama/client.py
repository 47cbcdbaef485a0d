"""One connection to an Ollama server: every request has deadlines, and every answer an upper size.

Redirects are never followed: they would carry the texts to somewhere else. No proxy is asked for this machine.
httpx is imported when there is something to ask: it is heavy, and brings rich and click where they are installed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

from .address import is_loopback
from .trouble import Kind, Trouble, excerpt, is_html, of_status

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
ASK_S = 10.0
"""For questions that need no model."""
STATE_S = 2.0
"""For asking a server that has fallen silent whether it lives."""
CLOSING_S = 1.0
"""A connection that the server closed while nothing was asked breaks within that time, and one that works does not."""
LOAD_S = 300.0
"""For the first request, which loads the model: from a slow disk that takes minutes."""
BATCH_S, TEXT_S = 60.0, 5.0
"""For a request, and for each of its texts more: a processor without help takes seconds for 500 tokens."""
TRICKLE = 1.5
"""An answer may come in pieces for so many times its deadline."""
MOST_ERROR_BYTES = 1 << 16
MOST_ANSWER_BYTES = 16 << 20
BYTES_A_NUMBER = 32


class Deadline(NamedTuple):
    """Seconds until the first byte or the next one, and until the last."""

    read_s: float
    total_s: float

    @classmethod
    def of(cls, read_s: float) -> Deadline:
        return cls(read_s, read_s * TRICKLE)


def for_texts(count: int, timeout_s: float | None) -> Deadline:
    """The deadline of a request for so many texts; `timeout_s` is what a person wants it to be."""
    return Deadline.of(timeout_s or BATCH_S + TEXT_S * count)


class Client:
    """Asks the server at `url`. It must not cross a fork: each worker has its own. Raises Trouble, and nothing else."""

    def __init__(self, url: str) -> None:
        import httpx

        self.url = url
        self._kept = False
        local = is_loopback(url)
        # Certificates take a tenth of a second to read, and plain http needs none.
        self._http = httpx.Client(
            verify=url.startswith("https"),
            trust_env=not local,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json"},
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        )

    def get(self, path: str, *, deadline: Deadline = Deadline.of(ASK_S)) -> Any:  # noqa: B008  (a tuple)
        """What a GET answers, decoded."""
        return decoded(self._whole("GET", path, None, deadline, MOST_ANSWER_BYTES), path)

    def post(self, path: str, body: Any, *, deadline: Deadline, most_bytes: int = MOST_ANSWER_BYTES) -> bytes:
        """What a POST answers, as it came."""
        return self._whole("POST", path, msgspec.json.encode(body), deadline, most_bytes)

    def lines(self, path: str, body: Any, *, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """The objects of an answer that comes line by line, as long as each comes in time."""
        with self._reply("POST", path, msgspec.json.encode(body), deadline) as reply:
            for line in reply.iter_lines():
                if line.strip():
                    yield _object(decoded(line.encode(), path), path)

    def state(self) -> str:
        """Whether the server answers what needs no model, and which models it says are loaded, on one line."""
        return ", ".join((self._version_state(), self._models_state()))

    def _version_state(self) -> str:
        try:
            version = _object(self.get("/api/version", deadline=Deadline.of(STATE_S)), "/api/version").get("version")
        except Trouble as trouble:
            return f"/api/version does not answer ({trouble.what})"
        return f"/api/version answers ({excerpt(str(version))})"

    def _models_state(self) -> str:
        try:
            models = _object(self.get("/api/ps", deadline=Deadline.of(STATE_S)), "/api/ps").get("models")
        except Trouble as trouble:
            return f"/api/ps does not answer ({trouble.what})"
        names = [str(model.get("name")) for model in models or () if isinstance(model, dict)]
        return f"/api/ps answers (loaded: {excerpt(', '.join(names))})" if names else "/api/ps answers (nothing loaded)"

    def _whole(self, method: str, path: str, body: bytes | None, deadline: Deadline, most_bytes: int) -> bytes:
        with self._reply(method, path, body, deadline) as reply:
            data, whole = _collected(reply, most_bytes, deadline)
        if not whole:
            raise Trouble(Kind.FOREIGN, f"answered {path} with more than {most_bytes:,} bytes, which is no answer")
        return data

    @contextmanager
    def _reply(self, method: str, path: str, body: bytes | None, deadline: Deadline) -> Iterator[httpx.Response]:
        """An answer of status 200, whose body is still to be read."""
        import httpx

        timeout = httpx.Timeout(deadline.read_s, connect=min(CONNECT_S, deadline.read_s))
        try:
            request = self._http.build_request(method, self.url + path, content=body, timeout=timeout)
            with self._sent(request) as reply:
                if reply.status_code != 200:
                    said, _ = _collected(reply, MOST_ERROR_BYTES, deadline)
                    raise of_status(reply.status_code, said, path=path, location=reply.headers.get("location", ""))
                yield reply
        except httpx.HTTPError as error:
            raise self._trouble(error, deadline) from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise Trouble(Kind.CONNECT, "cannot be reached: no host can have such a name") from error

    def _sent(self, request: httpx.Request) -> AbstractContextManager[httpx.Response]:
        """The beginning of an answer. Where the server closed the kept connection just then, a new one is asked."""
        import httpx

        kept, self._kept, began = self._kept, False, time.monotonic()
        try:
            reply = self._http.send(request, stream=True)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if not kept or time.monotonic() - began > CLOSING_S:
                raise
            reply = self._http.send(request, stream=True)
        self._kept = True
        return closing(reply)

    def _trouble(self, error: httpx.HTTPError, deadline: Deadline) -> Trouble:
        import httpx

        reason = excerpt(str(error)) or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            why = "it did not answer the call to connect" if isinstance(error, httpx.ConnectTimeout) else reason
            return Trouble(Kind.CONNECT, f"cannot be reached: {why}")
        if isinstance(error, httpx.TimeoutException):
            return Trouble(Kind.SILENT, f"sent nothing for {deadline.read_s:g} s")
        return Trouble(Kind.LOST, f"broke the connection off ({reason})")

    def close(self) -> None:
        """Gives the connection back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def decoded(data: bytes, path: str) -> Any:
    """The value of a JSON answer."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        if is_html(data):
            raise Trouble(Kind.FOREIGN, f"answered {path} with a page of HTML: that is not Ollama") from None
        raise Trouble(Kind.BAD, f"answered {path} with {excerpt(data.decode(errors='replace'))!r}, no JSON") from None


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Trouble(Kind.FOREIGN, f"answered {path} with something else than an object: that is not Ollama")
    return value


def _collected(reply: httpx.Response, most_bytes: int, deadline: Deadline) -> tuple[bytes, bool]:
    """The body up to `most_bytes`, and whether that is all of it. What comes too slowly raises Trouble."""
    pieces: list[bytes] = []
    held, until_s = 0, time.monotonic() + deadline.total_s
    for piece in reply.iter_bytes():
        pieces.append(piece)
        held += len(piece)
        if held > most_bytes:
            return b"".join(pieces)[:most_bytes], False
        if time.monotonic() > until_s:
            raise Trouble(Kind.SILENT, f"had not sent the end of its answer after {deadline.total_s:g} s")
    return b"".join(pieces), True
