"""The live environment of another process, which /proc/PID/environ does not show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cvdebug.core.errors import ObserveError
from cvdebug.core.observe import environment
from hypothesis import given
from hypothesis import strategies as st


@contextmanager
def changed(code: str) -> Iterator[int]:
    """The PID of a Python that started with CVDEBUG_TEST=old and then ran `code`."""
    program = f"import os\n{code}\nprint(flush=True)\ninput()"
    command = [sys.executable, "-c", program]
    variables = {"CVDEBUG_TEST": "old", "PATH": "/bin"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"\n"
        yield process.pid
        process.stdin.write(b"\n")


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("", "old"),
        ("os.environ['CVDEBUG_TEST'] = 'new'", "new"),
        ("os.putenv('CVDEBUG_TEST', 'put')", "put"),
        ("os.environ['CVDEBUG_TEST'] = ''", ""),
        ("os.environ['CVDEBUG_TEST'] = 'é=' * 5000", "é=" * 5000),
        ("del os.environ['CVDEBUG_TEST']", None),
        ("os.environ.clear()", None),
        ("os.environ['CVDEBUG_TEST2'] = 'longer'; del os.environ['CVDEBUG_TEST']", None),
    ],
)
def test_changes_after_the_start_are_seen(code: str, value: str | None) -> None:
    with changed(code) as pid:
        assert environment.live_variable(pid, "CVDEBUG_TEST") == value


def test_the_answer_is_read_anew_each_time() -> None:
    with changed("os.environ['CVDEBUG_TEST'] = 'a'") as one, changed("os.environ['CVDEBUG_TEST'] = 'b'") as two:
        assert [environment.live_variable(pid, "CVDEBUG_TEST") for pid in (one, two, one)] == ["a", "b", "a"]


def test_a_process_that_is_gone_is_an_error() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    for or_at_exec in (False, True):
        with pytest.raises(ObserveError, match="cannot be read"):
            environment.live_variable(child.pid, "PATH", or_at_exec=or_at_exec)


def test_the_copy_at_exec_is_only_used_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_symbol", lambda path: None)
    with changed("os.environ['CVDEBUG_TEST'] = 'new'") as pid:
        with pytest.raises(ObserveError, match="no symbol"):
            environment.live_variable(pid, "CVDEBUG_TEST")
        assert environment.live_variable(pid, "CVDEBUG_TEST", or_at_exec=True) == "old"
        assert environment.live_variable(pid, "CVDEBUG_NONE", or_at_exec=True) is None


@pytest.mark.parametrize(("library", "musl"), [("/lib/ld-musl-x86_64.so.1", True), ("/lib/libc.so.6", False)])
def test_musl_is_told_from_glibc(monkeypatch: pytest.MonkeyPatch, library: str, musl: bool) -> None:
    monkeypatch.setattr(environment, "_mappings", lambda pid: [environment.Mapping(0, 0, library)])
    assert environment.uses_musl(1) is musl


@given(st.text(max_size=300))
def test_no_content_of_maps_raises(text: str) -> None:
    environment.parse_maps(text)


def test_the_lowest_mapping_of_a_file_counts() -> None:
    maps = (
        "55d0-55d1 r--p 00000000 08:01 12 /usr/bin/my python\n"
        "55d1-55d2 r-xp 00001000 08:01 12 /usr/bin/my python\n"
        "7f00-7f01 rw-p 00000000 00:00 0 \n"
        "7f01-7f02 rw-p 00000000 00:00 0 [stack]\n"
    )
    assert environment.parse_maps(maps) == [environment.Mapping(0x55D0, 0, "/usr/bin/my python")]
