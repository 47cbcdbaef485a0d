"""kill -9 of the command at any moment: nothing lives on, no vector is lost or computed twice, resume completes."""

from __future__ import annotations

import hashlib
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core.pipeline.content import Content

from .driver import Command, until
from .test_runs import assert_loaded

# Counts the texts that reach the embedder, in whichever process: imported by every interpreter that starts.
COUNTING = """
import hashlib, os, sys

def install():
    from cvdebug.core.embedding import lexical
    embed = lexical.Lexical.embed
    def counting(self, texts):
        vectors = embed(self, texts)
        with open(os.environ["EMBEDDED_TEXTS"], "ab", buffering=0) as log:
            digests = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
            log.write("".join(digest + "\\n" for digest in digests).encode())
        return vectors
    lexical.Lexical.embed = counting

if "cvdebug.core.pipeline.subject" in " ".join(sys.orig_argv) or "multiprocessing" in " ".join(sys.orig_argv):
    install()
"""

METHODS = ("fork", "spawn", "forkserver", "thread")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(COUNTING)
    (tmp_path / "embedded").touch()
    command = Command(tmp_path / "home", PYTHONPATH=str(tmp_path / "site"), EMBEDDED_TEXTS=str(tmp_path / "embedded"))
    yield command
    assert until(lambda: not command.left(), 5.0)


def embedded(tmp_path: Path) -> Counter[str]:
    return Counter((tmp_path / "embedded").read_text().split())


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@pytest.mark.parametrize(
    ("moment", "method"),
    [
        pytest.param(moment, method, marks=() if (moment, method) == (0, METHODS[0]) else pytest.mark.slow)
        for moment in range(5)
        for method in METHODS
    ],
)
def test_kill_9_at_any_moment(command: Command, database: str, tmp_path: Path, method: str, moment: int) -> None:
    chance = random.Random(f"{method} {moment}")
    arguments = ("run", "--dsn", database, "--cvs", "80", "--start-method", method, "--batch", "8", "--json")
    process = command.start(*arguments)
    assert process.stdout is not None
    next(e for e in map(ev.decode, iter(process.stdout.readline, b"")) if isinstance(e, ev.SubjectStarted))
    time.sleep(chance.uniform(0.0, 2.0))  # the moment is meant to be anywhere
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert until(lambda: not command.left(), 5.0)
    spools = command.spools()
    whole = [spool for spool in spools if (spool / "manifest.json").exists()]  # else it was being removed, all done
    kept = flagged(whole[0]) if whole else set()
    before = embedded(tmp_path)
    result = command.events("resume", "--dsn", database)
    if not result.out:  # it was killed before there was anything to keep, or when all was done
        assert "nothing to resume" in result.err
        return
    assert_loaded(database, result)
    again = embedded(tmp_path) - before
    samples = 3  # the searches that verify shows embed their query
    assert not kept & set(again)
    assert sum(again.values()) - samples == result.one(ev.Embedded).computed
    assert result.one(ev.Embedded).kept == len(kept)


def flagged(path: Path) -> set[str]:
    """Digests of the texts whose vector is done."""
    with Content.open(path) as spool:
        if spool.manifest.stage in ("new", "loaded"):
            return set()
        done = [index for index, flag in enumerate(spool.done) if flag]
        return {digest(text) for text in spool.texts(done)}


def test_a_fixed_run_embeds_each_chunk_once(command: Command, database: str, tmp_path: Path) -> None:
    result = command.events("run", "--dsn", database, "--cvs", "24", "--parallelism", "on", "--fix")
    assert_loaded(database, result)
    counts = embedded(tmp_path)
    queries = Counter(digest(search.query) for search in result.one(ev.Verified).searches)
    chunks = counts - queries
    assert sum(chunks.values()) == result.one(ev.Verified).rows
    assert set(chunks.values()) == {1}
