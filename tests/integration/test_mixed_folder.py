"""A folder of everything that people have: what can be read is stored, the rest is named, counted and left."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import psycopg
import pytest
from cvdebug.core import events as ev
from cvdebug.core.model import Phase
from cvdebug.core.pipeline import generate
from cvdebug.core.state import RunState
from cvdebug.tui import report

from .. import papers
from .driver import Command, until

BAD = {
    "blank.txt": (b" \n", "without text"),
    "blank.md": (b"", "without text"),
    "scanned.pdf": (papers.pdf(""), "without text"),
    "empty.docx": (papers.word(), "without text"),
    "locked.pdf": (papers.encrypted_pdf("x", user="u", owner="o"), "encrypted"),
    "locked.docx": (papers.encrypted_word(), "encrypted"),
    "word.pdf": (papers.word("x"), "of another type"),
    "pdf.docx": (papers.pdf("x"), "of another type"),
    "pdf.txt": (papers.pdf("x"), "of another type"),
    "picture.md": (b"\x89PNG\r\n\x1a\n", "of another type"),
    "sheet.docx": (papers.sheet(), "of another type"),
    "zip.docx": (papers.archive("a"), "of another type"),
    "torn.pdf": (papers.pdf("x")[:60], "broken"),
    "torn.docx": (papers.word("x")[:-99], "broken"),
    "nul.txt": (b"a\0b", "broken"),
    "utf16.txt": (b"\xff\xfea", "broken"),
    "laughs.docx": (papers.laughs(), "broken"),
    "round.pdf": (papers.pages_in_themselves(), "broken"),
    "large.txt": (None, "too large"),
    "nowhere.pdf": (None, "unreadable"),
}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    driver = Command(tmp_path / "home")
    yield driver
    assert driver.left() == []


def western(text: str) -> str:
    return text.encode("cp1252", "ignore").decode("cp1252")


def good(number: int) -> dict[str, tuple[bytes, str]]:
    """`number` documents in turn of every kind that can be read, by name, each with its text."""
    found = {}
    kinds = ("utf8.txt", "mark.md", "utf16.txt", "cp1252.txt", "a.pdf", "b.PDF", "a.docx", "b.DocX")
    for index, kind in zip(range(number), cycle(kinds)):
        text = western(generate.cv(7, index).text).strip()
        match kind:
            case "utf8.txt":
                data = text.encode()
            case "mark.md":
                data = text.encode("utf-8-sig")
            case "utf16.txt":
                data = text.encode("utf-16")
            case "cp1252.txt":
                text += "\nRésumé – naïve façade, Zürich, Malmö, Besançon"
                data = text.encode("cp1252")
            case _ if kind.lower().endswith(".pdf"):
                data = papers.typeset(text)
            case _:
                data = papers.word(*unicodedata.normalize("NFD", text).split("\n"))
        found[f"{index % 7}/{index:03d}-{kind}"] = data, text
    return found


def fill(folder: Path) -> dict[str, tuple[bytes, str]]:
    """200 files, 20 of which cannot be used; gives the others."""
    documents = good(180)
    for name, (data, _) in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, (bad, _) in BAD.items():
        if bad is not None:
            (folder / name).write_bytes(bad)
    (folder / "nowhere.pdf").symlink_to("gone")
    with (folder / "large.txt").open("wb") as large:
        large.truncate((32 << 20) + 1)
    return documents


def test_a_mixed_folder_of_200_files(command: Command, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "cvs"
    documents = fill(folder)
    for name in ("photo.jpg", "old.doc", "older.doc", "lines.jsonl"):
        (folder / name).write_bytes(b"x")
    result = command.events("run", "--input", str(folder), "--dsn", database)
    assert result.code == 0, result
    (others,) = (log.text for log in result.all(ev.Log) if "left out" in log.text)
    left_out = "4 files are of a kind that is not read in a folder, and left out: 2 x .doc, 1 x .jsonl, 1 x .jpg"
    assert others == f"{left_out}. A .jsonl is read where --input names it"
    assert {skipped.file: skipped.number for skipped in result.all(ev.FileSkipped)}.keys() == BAD.keys()
    assert all(skipped.reason for skipped in result.all(ev.FileSkipped))
    counted = result.one(ev.FilesSkipped)
    kinds = [kind for _, kind in BAD.values()]
    assert (counted.number, counted.kinds) == (20, {kind: kinds.count(kind) for kind in kinds})
    load = next(event for event in result.all(ev.PhaseFinished) if event.phase is Phase.LOAD)
    assert load.detail.startswith("180 documents, 20 skipped: 6 broken, 6 of another type, 4 without text, ")
    assert any("not in Unicode" in log.text and "cp1252" in log.text for log in result.all(ev.Log))
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT source, text FROM cvdebug.chunks WHERE ordinal = 0").fetchall()
    assert {source for source, _ in rows} == documents.keys()
    for source, text in rows:
        assert words(documents[source][1]).startswith(words(text)), source


def test_a_reader_that_never_ends_goes_with_its_observer(command: Command, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "cvs"
    folder.mkdir()
    (folder / "round.pdf").write_bytes(papers.form_in_itself())
    observer = command.start("run", "--input", str(folder), "--dsn", database)
    until(lambda: [pid for pid in command.left() if b"extractor" in Path(f"/proc/{pid}/cmdline").read_bytes()])
    observer.kill()
    observer.communicate()
    assert until(lambda: not command.left(), 5.0)


def test_of_thousands_a_person_is_told_of_a_hundred() -> None:
    told = [
        str(line)
        for number in range(1, 2_001)
        for line in report.lines(ev.FileSkipped(file=f"{number}.pdf", reason="is broken", number=number), RunState())
    ]
    assert len(told) == report.SKIPPED_SHOWN + 1
    assert "--record name them" in told[-1]


def words(text: str) -> str:
    """A PDF's lines may be broken otherwise, and its hyphens at their ends be gone."""
    return "".join(c for c in text.lower() if c.isalnum())


def test_the_end_report_counts_them_too(command: Command, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "cvs"
    folder.mkdir()
    (folder / "cv.txt").write_text("Ana, engineer in Porto")
    for name in ("scanned.pdf", "locked.docx", "torn.pdf"):
        (folder / name).write_bytes(BAD[name][0] or b"")
    result = command.run("run", "--input", str(folder), "--dsn", database)
    assert result.code == 0, result
    assert "skipped 3 inputs: 1 broken, 1 encrypted, 1 without text" in " ".join(result.out.split())
    (folder / "cv.txt").unlink()
    result = command.run("run", "--input", str(folder), "--dsn", database)
    assert result.code == 1
    assert "none of the 3 documents" in result.out
    assert "(1 broken, 1 encrypted, 1 without text)" in " ".join(result.out.split())
    for name in ("scanned.pdf", "locked.docx", "torn.pdf"):
        assert f"skipped {name}: " in result.out
