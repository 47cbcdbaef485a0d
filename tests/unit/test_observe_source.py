"""The source line of a frame of a running process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cvdebug.core.model import Frame
from cvdebug.core.observe.source import source_line


def line(file: Path | str, number: int) -> str:
    return source_line(os.getpid(), Frame(function="f", file=str(file), line=number))


def test_a_line_is_found_by_absolute_and_by_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("a.py").write_text(f"one\n    with lock:\n{'x' * 500}\n")
    assert line(tmp_path / "a.py", 2) == "with lock:"
    assert line(tmp_path / "a.py", 3) == "x" * 160
    monkeypatch.chdir(tmp_path)
    assert line("a.py", 1) == "one"


def test_what_has_no_such_line_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    tmp_path.joinpath("short.py").write_bytes(b"\xff\n")
    for file, number in [(tmp_path / "fifo", 1), (tmp_path / "short.py", 9), (tmp_path / "short.py", 0)]:
        assert line(file, number) == ""
    for name in ("/dev/null", str(tmp_path), "/nowhere.py", "<frozen os>", "", "a\0b"):
        assert line(name, 1) == ""
