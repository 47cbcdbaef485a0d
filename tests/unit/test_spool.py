"""The spool keeps texts, vectors and flags, for its user only, and says who may use it."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from cvdebug.core.errors import SpoolError
from cvdebug.core.pipeline.content import DIMENSIONS, Content
from cvdebug.core.settings import Settings
from cvdebug.core.spool import in_use, spools
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path))
    return tmp_path


def filled(chunks: int = 5) -> Content:
    spool = Content.create(scenario="s", settings=Settings())
    spool.start_documents()
    text = "word " * chunks
    spool.add_document("döc", text)
    spool.flush()
    spool.add_chunks(0, text, [(i * 5, i * 5 + 4) for i in range(chunks)])
    spool.flush()
    spool.allocate(chunks)
    spool.save(stage="tokenized", documents=1, chunks=chunks)
    return spool


def test_it_is_private_and_survives_being_opened_again(home: Path) -> None:
    spool = filled()
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700
    spool.put_vectors([1, 3], np.full((2, DIMENSIONS), 0.5))
    spool.counts[[1]] = 7
    spool.close()
    again = Content.open(spool.path)
    assert again.progress() == (2, 1)
    assert again.done.tolist() == [0, 1, 0, 1, 0]
    assert again.vectors[3, 9] == np.float32(0.5)
    assert again.chunk(2) == ("döc", 2, "word", 10, 14)
    assert again.name(2) == "chunk 2 (döc, window 3)"
    assert [found.manifest.run for found in spools()] == [spool.manifest.run]
    again.remove()
    assert spools() == []


def test_one_lock_at_a_time(home: Path) -> None:
    with filled() as spool:
        assert in_use(spool.path)
        spool.lock()  # its own lock is no obstacle
        with pytest.raises(SpoolError, match="in use by another cvdebug"):
            Content.open(spool.path).lock()
    assert not in_use(spool.path)


@pytest.mark.parametrize("name", ["texts", "sources", "documents", "chunks", "vectors", "done", "counts"])
def test_a_file_that_lost_its_end_is_found(home: Path, name: str) -> None:
    with filled() as spool:
        spool.check()
    with (spool.path / name).open("r+b") as file:
        file.truncate((spool.path / name).stat().st_size - 1)
    with Content.open(spool.path) as again, pytest.raises(SpoolError, match="damaged"):
        again.check()


def test_a_folder_that_is_no_spool_is_refused(home: Path) -> None:
    (home / "x").mkdir()
    with pytest.raises(SpoolError, match="not the spool of a run"):
        Content.open(home / "x")
    with filled() as spool:
        manifest = spool.path / "manifest.json"
        written = manifest.read_text()
    for changed in (('"version": 1', '"version": 99'), ('"lexical"', '"an-embedder-that-is-gone"')):
        manifest.write_text(written.replace(*changed))
        with pytest.raises(SpoolError, match="another version"):
            Content.open(spool.path)


def test_a_disk_that_is_too_small_is_said_before_anything_is_computed(home: Path) -> None:
    with filled() as spool, pytest.raises(SpoolError, match=r"cannot hold .* MB of vectors.*CVDEBUG_HOME"):
        spool.allocate(2**40)


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=40), min_size=1, max_size=8),
    st.data(),
)
def test_any_text_and_any_windows_come_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVDEBUG_HOME", str(tmp_path_factory.mktemp("spool")))
        spool = Content.create(scenario="s", settings=Settings())
    with spool:
        spool.start_documents()
        for number, text in enumerate(texts):
            spool.add_document(f"d{number}", text)
        spool.flush()
        expected = []
        for number, text in enumerate(texts):
            starts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
            spans = [(start, data.draw(st.integers(start, len(text)))) for start in starts]
            spool.add_chunks(number, text, spans)
            expected += [(f"d{number}", i, text[a:b], a, b) for i, (a, b) in enumerate(spans)]
        spool.flush()
        assert [spool.chunk(i) for i in range(len(expected))] == expected
        assert spool.texts(range(len(expected))) == [row[2] for row in expected]
        assert [spool.document(i) for i in range(len(texts))] == texts
        spool.remove()
