"""The doctor under real limits: a full /dev/shm, few files and processes, another namespace, another locale."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cvdebug.core.doctor import children, container, screen
from cvdebug.core.doctor.check import Machine, Status

from .doctoring import as_root, elsewhere, tool


@as_root
def test_a_shared_memory_that_is_full() -> None:
    unshare = tool("unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev/shm")
    fill = 'mount -t tmpfs -o size=16k none /dev/shm && head -c 16k /dev/zero > /dev/shm/it; exec "$@"'
    answer = elsewhere("room.shared_memory(check.Machine())", unshare, "-m", "sh", "-c", fill, "sh")
    assert answer.status is Status.FAILED
    assert "No space left" in answer.found


@pytest.mark.parametrize(("most", "status"), [(64, "failed"), (500, "warning")])
def test_few_open_files(most: int, status: str) -> None:
    lowered = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most}))"
    answer = elsewhere("limits.open_files(check.Machine())", prologue=lowered)
    assert answer.status == status
    assert f"{most} may be open" in answer.found
    assert "ulimit -n" in answer.hint


@as_root
def test_few_processes() -> None:
    lowered = "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)); os.setresuid(65534, 65534, 65534)"
    answer = elsewhere("limits.processes(check.Machine())", prologue=lowered)
    assert answer.status is Status.FAILED
    assert "0 more of 1 may be started (ulimit -u)" in answer.found


@as_root
def test_where_no_thread_can_be_started_the_doctor_says_so() -> None:
    lowered = "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)); os.setresuid(65534, 65534, 65534)"
    imported = "from cvdebug.core.doctor.examine import examine"
    for quick, said in (False, "it could not be tried: can't start new thread"), (True, "0 more of 1 may be started"):
        it = f"check.Check(name='it', why='', probe=limits.processes, quick={quick})"
        answer = elsewhere(f"next(examine(check.Machine(), [{it}]))", prologue=f"{imported}; {lowered}")
        assert answer.status is Status.FAILED
        assert answer.found.startswith(said)


@pytest.mark.parametrize("kind", ["AS", "FSIZE"])
def test_a_limit_on_memory_and_on_files(kind: str) -> None:
    lowered = f"resource.setrlimit(resource.RLIMIT_{kind}, (390 << 20, -1) if '{kind}' == 'AS' else (1 << 20, -1))"
    answer = elsewhere("limits.memory(check.Machine())", prologue=lowered)
    assert answer.status is Status.FAILED
    assert "at most (ulimit -" in answer.found


@as_root
def test_a_proc_of_another_namespace() -> None:
    unshare = tool("unshare", "--pid", "--fork", "true")
    answer = elsewhere("container.container(check.Machine())", unshare, "--pid", "--fork")
    assert answer.status is Status.FAILED
    assert "another PID namespace" in answer.found


def test_here_the_proc_is_right() -> None:
    assert container.container(Machine()).status is not Status.FAILED


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "C: output is"),
        ({"LC_ALL": "tlh_QO.UTF-8", "PYTHONUTF8": "1"}, "does not know the locale tlh_QO.UTF-8"),
    ],
)
def test_locales(variables: dict[str, str], said: str) -> None:
    answer = screen.locale(Machine(environment={**os.environ, **variables}))
    assert answer.status is Status.WARNING
    assert said in answer.found
    assert "LC_ALL=C.UTF-8" in answer.hint


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        screen.locale(Machine(python=str(tmp_path / "none")))


def test_a_child_that_is_killed_says_by_what() -> None:
    reply = children.ask(["sh", "-c", "kill -9 $$"], environment=os.environ, deadline_s=30)
    assert reply.last_words == "it was ended by SIGKILL"
