"""A server that speaks Ollama's API over real HTTP, embeds with `lexical`, and breaks on demand.

    python -P -m cvdebug.scenarios.ollama_server  < one line of JSON, then nothing until the end

The line is a `Config`; `{}` will do. It says its URL on standard output once it listens, and ends when its standard
input does. It listens on 127.0.0.1 alone. What it answers, errors included, is worded as Ollama words it. Beside
Ollama's paths it has /faults: GET says what happened so far, PUT takes other faults, in JSON.

It does not pretend to be a language model: its vectors are those of the offline embedder.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import numpy as np

from ..core.embedding.lexical import Lexical, fit_idf
from ..core.pipeline import tokenizer as tokenizers
from .ollama_orders import Config, Fault, Happened, Kind

_BIG = 10 << 20
SPECIAL_TOKENS = 2  # of BERT: one at either end
DIGITS = 9  # as many as a float32 below 1 has, as Go writes it; Python would write those of a float64
_TRICKLE_S = 0.02
_LONG = "the input length exceeds the context length"
_ERRORS: dict[str, tuple[int, str]] = {
    "busy": (503, "server busy, please try again.  maximum pending requests exceeded"),
    "crashed": (400, 'do embedding request: Post "http://127.0.0.1:41234/embedding": EOF'),
    "failed": (500, "llama runner process has terminated: signal: killed"),
    "input": (400, "invalid input type"),
    "nan": (400, "embedding contains NaN or Inf values"),
    "too-long": (400, _LONG),
    "missing": (404, "model '{model}' not found"),
    "no-embeddings": (501, "This server does not support embeddings. Start it with `--embeddings`"),
}


class OllamaServer(ThreadingHTTPServer):
    """Serves from the moment it is made; `serve_forever` in a thread, or the loop of `main`, answers."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, config: Config = Config()) -> None:  # noqa: B008  (frozen)
        tokenizer = tokenizers.load()
        self.tokenizer = tokenizer
        self.embedder = Lexical(tokenizer, fit_idf(tokenizer))
        self.config = config
        self.happened = Happened()
        self.over = threading.Event()
        self.abrupt: set[socket.socket] = set()
        self._faults = config.faults
        self._seen: dict[int, int] = {}
        self._under_way = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", config.port), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def set_faults(self, faults: tuple[Fault, ...]) -> None:
        """From now on these go wrong, counted from now."""
        with self._lock:
            self._faults, self._seen = faults, {}

    def strikes(self, path: str, texts: list[str]) -> Kind | None:
        """What goes wrong with this request."""
        with self._lock:
            for number, fault in enumerate(self._faults):
                if fault.path != path or (fault.text and not any(fault.text in text for text in texts)):
                    continue
                seen = self._seen[number] = self._seen.get(number, 0) + 1
                struck = max(0, seen - fault.after) // fault.every
                due = seen > fault.after and (seen - fault.after) % fault.every == 0
                if due and (fault.times is None or struck <= fault.times):
                    self.happened.struck[fault.kind] = self.happened.struck.get(fault.kind, 0) + 1
                    return fault.kind
        return None

    @contextlib.contextmanager
    def under_way(self, texts: list[str], *, truncate: bool) -> Iterator[None]:
        """Counts a request as long as it is worked on."""
        with self._lock:
            self._under_way += 1
            happened = self.happened
            happened.requests += 1
            happened.texts += len(texts)
            happened.blank += sum(1 for text in texts if not text.strip())
            happened.untruncated += not truncate
            happened.most_at_once = max(happened.most_at_once, self._under_way)
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def pulled(self) -> None:
        """From now on it has the model."""
        self.config = msgspec.structs.replace(self.config, has_model=True)

    def lose_model(self) -> None:
        """Somebody has removed it."""
        self.config = msgspec.structs.replace(self.config, has_model=False)

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection; one that a fault breaks off without a last word."""
        if request in self.abrupt:
            self.abrupt.discard(request)
            request.close()
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error of the server."""

    def server_close(self) -> None:
        """Lets everything go that a fault holds."""
        self.over.set()
        super().server_close()


class _Broken(Exception):
    """The connection is to be broken off."""


class _Handler(BaseHTTPRequestHandler):
    """One connection, request after request, as Go's server keeps it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: OllamaServer

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except _Broken:
            # With no time to linger the kernel resets the connection at its close.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.server.abrupt.add(self.connection)
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: standard output is for the URL."""

    def do_GET(self) -> None:
        config = self.server.config
        if self._struck(self.path, []):
            return
        if self.path == "/":
            self._send(200, b"Ollama is running", "text/plain; charset=utf-8")
        elif self.path == "/api/version":
            self._json(200, {"version": config.version})
        elif self.path == "/api/tags":
            self._json(200, {"models": [_described(config)] if config.has_model else []})
        elif self.path == "/api/ps":
            self._json(200, {"models": [_loaded(config)] if self.server.happened.requests else []})
        elif self.path == "/faults":
            self._json(200, self.server.happened)
        else:
            self._send(404, b"404 page not found", "text/plain")

    def do_PUT(self) -> None:
        self.server.set_faults(msgspec.json.decode(self._body(), type=tuple[Fault, ...]))
        self._json(200, self.server.happened)

    def do_POST(self) -> None:
        body = self._body()
        if self.path not in ("/api/embed", "/api/show", "/api/pull"):
            self._send(404, b"404 page not found", "text/plain")
            return
        try:
            order = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            self._json(400, {"error": str(error)})
            return
        if self.path == "/api/embed":
            self._embed(order)
        elif self._struck(self.path, []):
            return
        elif self.path == "/api/show":
            self._show(order)
        else:
            self._pull(order)

    def _show(self, order: dict[str, Any]) -> None:
        config = self.server.config
        if not self._has(str(order.get("model", ""))):
            return
        info = {
            "general.architecture": "bert",
            "bert.context_length": config.shown_context,
            "bert.embedding_length": config.embedding_length,
        }
        shown = {"details": _described(config)["details"], "model_info": info, "capabilities": config.capabilities}
        self._json(200, shown)

    def _pull(self, order: dict[str, Any]) -> None:
        digest, size = f"sha256:{self.server.config.digest}", 340_000_000
        lines: list[dict[str, Any]] = [{"status": "pulling manifest"}]
        pulling = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size}
        lines.extend({**pulling, "completed": done} for done in range(0, size + 1, size // 8))
        fails = self.server.strikes("pull", []) is not None
        end = [{"error": "pull model manifest: file does not exist"}] if fails else [
            {"status": "verifying sha256 digest"}, {"status": "writing manifest"}, {"status": "success"}
        ]  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in [*lines, *end]:
            data = msgspec.json.encode(line) + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        if not fails:
            self.server.pulled()
        self.wfile.write(b"0\r\n\r\n")

    def _embed(self, order: dict[str, Any]) -> None:
        given = order.get("input", [])
        texts = [given] if isinstance(given, str) and given else given or []
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            self._json(400, {"error": "invalid input type"})
            return
        truncate = order.get("truncate", True)
        with self.server.under_way(texts, truncate=truncate):
            if self._struck(self.path, texts) or not self._has(str(order.get("model", ""))):
                return
            self._answer(str(order["model"]), texts, truncate=truncate)

    def _answer(self, model: str, texts: list[str], *, truncate: bool, spoil: Kind | None = None) -> None:
        """Embeds, or refuses what is too long; `spoil`: what is wrong with the first vector."""
        server, began = self.server, time.perf_counter_ns()
        words = texts if server.config.accents else [text.replace("é", "\N{SNOWMAN}") for text in texts]
        encoded = [each.ids for each in server.tokenizer.encode_batch_fast(words, add_special_tokens=False)]
        counts = [len(ids) * server.config.tokens_each + SPECIAL_TOKENS for ids in encoded]
        if not truncate and any(count > server.config.context_tokens for count in counts):
            self._json(400, {"error": _LONG})
            return
        vectors: list[Any] = server.embedder.embed_ids(encoded).astype(np.float64).round(DIGITS).tolist()
        if spoil is not None:
            _spoil(vectors, spoil)
        reply = {
            "model": model,
            "embeddings": vectors,
            "total_duration": time.perf_counter_ns() - began,
            "load_duration": 1,
        }
        self._json(200, {**reply, "prompt_eval_count": sum(counts)} if server.config.counts else reply)

    def _struck(self, path: str, texts: list[str]) -> bool:
        """Whether a fault has answered, or let the answer be."""
        kind = self.server.strikes(path, texts)
        if kind is None:
            return False
        if kind == "missing":
            self.server.lose_model()
        if kind in _ERRORS:
            status, text = _ERRORS[kind]
            self._json(status, {"error": text.format(model=self.server.config.model)})
        elif kind in ("zeros", "null", "dimensions", "rows"):
            self._answer(self.server.config.model, texts, truncate=False, spoil=kind)
        elif kind in ("html", "bad-gateway"):
            page = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
            self._send(200 if kind == "html" else 502, page, "text/html")
        elif kind == "not-json":
            self._send(200, b'{"embeddings": [[0.1, 0.2', "application/json")
        elif kind == "big-error":
            self._json(400, {"error": "cannot embed " + "x" * _BIG})
        elif kind == "redirect":
            self.send_response(307)
            self.send_header("Location", "http://127.0.0.1:9/api/embed")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._break_off(kind)
        return True

    def _break_off(self, kind: Kind) -> None:
        """Says nothing, or only the beginning."""
        if kind in ("stall-midway", "reset-midway", "trickle"):
            self.send_response(200)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b'{"model":"')
            self.wfile.flush()
        while kind == "trickle" and not self.server.over.wait(_TRICKLE_S):
            self.wfile.write(b"x")
            self.wfile.flush()
        if kind in ("stall", "stall-midway"):
            self.server.over.wait()
        raise _Broken

    def _has(self, model: str) -> bool:
        config = self.server.config
        wanted = model if ":" in model else f"{model}:latest"
        if config.has_model and wanted.lower() == config.model.lower():
            return True
        self._json(404, {"error": f"model '{model}' not found"})
        return False

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, status: int, value: Any) -> None:
        self._send(status, msgspec.json.encode(value), "application/json; charset=utf-8")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def _spoil(vectors: list[Any], kind: Kind) -> None:
    if kind == "zeros":
        vectors[0] = [0.0] * len(vectors[0])
    elif kind == "null":
        vectors[0] = [None, *vectors[0][1:]]
    elif kind == "rows":
        vectors.pop()
    else:
        vectors[:] = [vector[: len(vector) * 3 // 4] for vector in vectors]


def _described(config: Config) -> dict[str, Any]:
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": "bert",
        "families": ["bert"],
        "parameter_size": "334.09M",
        "quantization_level": config.quantisation,
    }
    return {
        "name": config.model,
        "model": config.model,
        "modified_at": datetime.now(UTC).isoformat(),
        "size": 358_000_000,
        "digest": config.digest,
        "details": details,
    }


def _loaded(config: Config) -> dict[str, Any]:
    described = _described(config)
    return {**described, "expires_at": described["modified_at"], "size_vram": 0}


def main() -> int:
    """Serves until standard input ends."""
    config = msgspec.json.decode(sys.stdin.buffer.readline() or b"{}", type=Config)
    # Requests share the cores, not each one's texts: two pools that wait for each other cost a third of the speed.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    server = OllamaServer(config)
    sys.stdout.write(server.url + "\n")
    sys.stdout.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(server.fileno(), selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if 0 in ready and not os.read(0, 4096):
                break
            if server.fileno() in ready:
                server.handle_request()
    server.server_close()
    return 0


if __name__ == "__main__":
    # A handler that a fault holds would otherwise keep the process.
    code = main()
    os._exit(code)
