"""A tokenizer that is named as on the hub, from a hub of ours on 127.0.0.1, and the sentence when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cvdebug.core.errors import UsageError
from cvdebug.core.pipeline.tokenizer import SHIPPED
from cvdebug.core.settings import is_hub_name, resolve

FETCH = """
import sys
from pathlib import Path
from cvdebug.core.errors import CvdebugError
from cvdebug.core.pipeline import tokenizer
spool = Path(sys.argv[2])
try:
    path = tokenizer.locate(sys.argv[1], spool)
    print("same" if tokenizer.fingerprint(path) == tokenizer.fingerprint() and path.parent == spool else path)
except CvdebugError as error:
    print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """Has one repository, and in it the shipped tokenizer."""

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        data = SHIPPED.read_bytes() if self.path == "/owner/name/resolve/main/tokenizer.json" else b""
        self.send_response(200 if data else 404)
        if not data:
            self.send_header(
                "X-Error-Code", "EntryNotFound" if self.path.startswith("/owner/other/") else "RepoNotFound"
            )
        self.send_header("ETag", '"0123456789abcdef"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def fetched(name: str, endpoint: str, folder: Path, **more: str) -> str:
    """What comes of asking, in an interpreter of its own, as the library reads its variables once."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), **more}
    folder.joinpath("spool").mkdir(exist_ok=True)
    run = subprocess.run(
        [sys.executable, "-P", "-c", FETCH, name, str(folder / "spool")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_it_is_downloaded_once_and_kept_in_the_spool(tmp_path: Path) -> None:
    with hub() as endpoint:
        assert fetched("owner/name", endpoint, tmp_path) == "same"
    assert fetched("owner/name", endpoint, tmp_path) == "same"  # the hub has gone


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sentence"), [("owner/none", "The hub has no owner/none"), ("owner/other", "has no tokenizer.json")]
)
def test_what_the_hub_has_not_got_is_a_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    with hub() as endpoint:
        assert sentence in fetched(name, endpoint, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_without_a_network_it_is_a_sentence_at_once(tmp_path: Path, more: dict[str, str]) -> None:
    began = time.monotonic()
    said = fetched("owner/name", "http://127.0.0.1:9", tmp_path, **more)
    assert time.monotonic() - began < 15  # the library alone tries for 23 s
    assert said.startswith("The tokenizer owner/name is not on this machine, and the hub cannot be reached"), said
    assert "name a tokenizer.json of this machine" in said


@pytest.mark.parametrize("name", ["BAAI/bge-large-en-v1.5", "a/b"])
def test_a_name_of_the_hub(name: str) -> None:
    assert is_hub_name(name)
    assert resolve(flags={"tokenizer": name}, environment={}).settings.tokenizer == name


@pytest.mark.parametrize("name", ["/a/b", "./a", "../b", "a", "a/b/c", "a/b.json", "~/a", "a/", "/b"])
def test_a_path_is_no_name_of_the_hub(name: str) -> None:
    assert not is_hub_name(name)
    with pytest.raises(UsageError, match="as owner/name"):
        resolve(flags={"tokenizer": name}, environment={})
