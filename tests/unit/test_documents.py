"""Reading foreign files: what is usable is read, the rest is named with its reason, and nothing blocks."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from cvdebug.core.errors import InputError
from cvdebug.core.pipeline import documents
from cvdebug.core.pipeline.document import Unusable
from cvdebug.core.pipeline.documents import Document, Skipped, read, survey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def _jsonl(path: Path, *lines: bytes | str) -> Path:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


def _reasons(path: Path) -> dict[str, str]:
    return {item.source: item.reason for item in read(path) if isinstance(item, Skipped)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "x.TXT").write_text("deep")
    (tmp_path / "a.md").write_text("# Ärztin\r\n", encoding="utf-8-sig", newline="")
    (tmp_path / "c.txt").write_text("c")
    (tmp_path / "cv.odt").write_text("no")
    (tmp_path / "~$cv.docx").write_text("no")
    (tmp_path / ".hidden.txt").write_text("no")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "no.txt").write_text("no")
    return tmp_path


def test_a_folder_is_read_recursively_in_order_and_as_it_stands(folder: Path) -> None:
    assert list(read(folder)) == [
        Document("a.md", "# Ärztin\r\n"),
        Document("b/deep/x.TXT", "deep"),
        Document("c.txt", "c"),
    ]
    assert survey(folder).items == 3


def test_what_cannot_be_used_is_named_and_reading_goes_on(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bytes.txt").write_bytes(bytes(range(1, 250)))
    (tmp_path / "utf16.txt").write_bytes(b"\xff\xfea\0b")
    (tmp_path / "cv.md").write_bytes(b"%PDF-1.7")
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "blank.txt").write_text(" \n\t\x0b\u200b\u00a0\ufeff")
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    (tmp_path / "device.txt").symlink_to("/dev/zero")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "link-to-folder.txt").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo.txt")
    with (tmp_path / "large.txt").open("wb") as large:
        large.truncate(documents.MAX_BYTES + 1)
    assert [item for item in read(tmp_path) if isinstance(item, Document)] == [Document("good.txt", "good")]
    reasons = _reasons(tmp_path)
    assert survey(tmp_path).items == 1 + len(reasons)
    assert reasons.pop("dangling.txt").startswith("cannot be read: No such file")
    assert reasons.pop("loop.txt").startswith("cannot be read: Too many levels")
    assert reasons == {
        "bytes.txt": "is not text",
        "utf16.txt": "begins as UTF-16-LE, and byte 4 is not",
        "cv.md": "is a PDF, and not text",
        "nul.txt": "the text holds a NUL character, which PostgreSQL cannot store",
        "empty.txt": "the text is blank",
        "blank.txt": "the text is blank",
        "device.txt": "not a regular file",
        "fifo.txt": "not a regular file",
        "link-to-folder.txt": "not a regular file",
        "large.txt": "larger than 32 MB",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_and_folders_without_permission_are_skipped(folder: Path) -> None:
    (folder / "c.txt").chmod(0)
    (folder / "b").chmod(0)
    try:
        assert _reasons(folder) == {
            "b/": "cannot be read: Permission denied",
            "c.txt": "cannot be read: Permission denied",
        }
        folder.chmod(0)
        with pytest.raises(InputError, match="Permission denied"):
            survey(folder)
    finally:
        folder.chmod(stat.S_IRWXU)
        (folder / "b").chmod(stat.S_IRWXU)


def test_names_that_are_no_utf8_or_control_a_terminal_become_printable(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("a")
    (tmp_path / "z\x1b[2J\n.txt").write_text("b")
    assert [item.source for item in read(tmp_path)] == ["caf\\xe9.txt", "z\\x1b[2J\\n.txt"]


def test_a_tree_deeper_than_python_can_recurse(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    try:
        assert survey(tmp_path).items == 1
    finally:  # pytest's own removal recurses
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True, timeout=60)


@pytest.mark.parametrize(
    ("content", "said"),
    [({}, "it is empty"), ({"a.odt": "x", "b.odt": "y", "c": "z"}, "found 2 x .odt, 1 x no suffix")],
)
def test_a_folder_with_nothing_to_read_says_what_is_there(tmp_path: Path, content: dict[str, str], said: str) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    for use in (survey, lambda path: list(read(path))):
        with pytest.raises(InputError, match=said) as caught:
            use(tmp_path)
        assert caught.value.hint


def test_paths_that_are_neither_folder_nor_jsonl(tmp_path: Path) -> None:
    (tmp_path / "cv.txt").write_text("x")
    os.mkfifo(tmp_path / "fifo.jsonl")
    for name, said in (("cv.txt", "neither"), ("fifo.jsonl", "neither"), ("none.jsonl", "does not exist")):
        with pytest.raises(InputError, match=said):
            next(read(tmp_path / name))
    with pytest.raises(InputError, match="cannot be read"):
        survey(Path("a\0b"))
    with pytest.raises(InputError, match="cannot be read"):
        survey(Path("a" * 5_000))


def test_a_jsonl_file_with_every_kind_of_bad_line(tmp_path: Path) -> None:
    good = '{"id": "%s", "text": "Zoë", "more": [1]}'
    path = _jsonl(
        tmp_path / "cvs.JSONL",
        b"\xef\xbb\xbf" + (good % "one").encode() + b"\r",
        "",
        "  \t",
        "{",
        '{"id": 1, "text": "x"}',
        '{"id": "x"}',
        "[]",
        good % "one",
        b'{"id": "latin", "text": "\xe9"}',
        r'{"id": "nul", "text": "a\u0000b"}',
        r'{"id": "half", "text": "a\udc00b"}',
        '{"id": "blank", "text": " "}',
        '{"id": "", "text": "x"}',
        '{"id": "deep", "text": "x", "y": ' + "[" * 100_000,
        good % "two",
    )
    assert [item for item in read(path) if isinstance(item, Document)] == [
        Document("one", "Zoë"),
        Document("two", "Zoë"),
    ]
    reasons = _reasons(path)
    assert survey(path).items == 2 + len(reasons)
    expected = {
        4: "not JSON",
        5: "not an object with the strings id and text",
        6: "missing required field `text`",
        7: "got `array`",
        8: "the id 'one' was used before",
        9: "not UTF-8",
        10: "NUL",
        11: "",
        12: "the text is blank",
        13: "the id is blank",
        14: "not JSON",
    }
    assert list(reasons) == [f"cvs.JSONL:{number}" for number in expected]
    for number, said in expected.items():
        assert said in reasons[f"cvs.JSONL:{number}"]


def test_a_jsonl_file_in_utf_16_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cvs.jsonl"
    path.write_bytes('{"id": "a", "text": "b"}'.encode("utf-16"))
    for use in (survey, lambda path: list(read(path))):
        with pytest.raises(InputError, match=r"is in UTF-16.*iconv"):
            use(path)


def test_an_endless_line_is_skipped_without_being_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 1 << 10)
    line = json.dumps({"id": "a", "text": "x"})
    for padding in (1 << 10, 5 << 10, (1 << 11) - len(line) + 2):
        path = _jsonl(tmp_path / "l.jsonl", line + " " * padding, line)
        assert [type(item) for item in read(path)] == [Skipped, Document]
        assert survey(path).items == 2


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_give_a_storable_document_or_a_reason(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "any.txt").write_bytes(data)
    (tmp_path / "any.jsonl").write_bytes(data)
    [of_folder] = read(tmp_path)
    for item in (of_folder, *read(tmp_path / "any.jsonl")):
        if isinstance(item, Document):
            assert "\0" not in item.text
            assert item.text.encode()
        else:
            assert item.reason


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text())))
def test_every_json_object_comes_through_or_is_named(pairs: list[tuple[str, str]]) -> None:
    usable: set[str] = set()
    seen: set[bytes] = set()
    for identity, text in pairs:
        line = json.dumps({"id": identity, "text": text}).encode()
        try:
            document = documents._object(line, seen)
        except Unusable:
            continue
        assert document == Document(identity, text)
        assert identity not in usable
        usable.add(identity)
    for identity, text in pairs:
        if identity.isalnum() and text.isalnum() and (identity + text).isascii():
            assert identity in usable
