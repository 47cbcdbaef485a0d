"""With less permission there is less evidence: never an empty tree, never an error, and always the reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cvdebug.core.model import WaitKind

from tests.programs import running

# Everything is imported and asked once before rights are given up: an ordinary user may not reach the interpreter.
LOOK = """
import ctypes, json, os, sys
from cvdebug.core.diagnose.investigate import investigate
from cvdebug.core.observe import permissions
pid, user = int(sys.argv[1]), int(sys.argv[2])
investigate(os.getpid())
if user:
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
finding = investigate(pid)
first = finding.case.first
print(json.dumps({
    "pids": [process.pid for process in first.processes], "threads": [len(p.threads) for p in first.processes],
    "kinds": [wait.kind for wait in first.waits.values()], "external": [bool(w.external) for w in first.waits.values()],
    "not_seen": first.not_seen, "no_stacks": list(finding.case.no_stacks.values()),
    "verdicts": [[verdict.slug, verdict.certainty] for verdict in finding.verdicts],
    "limits": [str(limit) for limit in permissions.limits(pid)],
}))
"""
NOT_DUMPABLE = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print('ready', flush=True); input()"
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def look(pid: int, *, user: int = 0, before: tuple[str, ...] = ()) -> dict[str, Any]:
    """What somebody with less permission sees of a process."""
    line = [*before, sys.executable, "-c", LOOK, str(pid), str(user)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def started(*line: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it is ready."""
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True, **options) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().strip() == "ready"
            yield process
        finally:
            process.kill()


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} here")
    return found


@as_root
def test_a_tree_of_another_user() -> None:
    with running("rayon_fork.py", "process", "true", "2") as program:
        seen = look(program.pid, user=NOBODY)
    assert set(seen["pids"]) == {program.pid, *program.workers}
    assert all(seen["threads"])
    assert all(seen["external"])  # not seen is never taken for dead
    assert [certainty for _, certainty in seen["verdicts"]] == ["undecided"]
    (limit,) = seen["limits"]
    assert "it belongs to user root" in limit
    assert any("it belongs to user root" in line and "sudo cvdebug" in line for line in seen["not_seen"])
    assert seen["no_stacks"]
    assert all("belongs to user root" in why for why in seen["no_stacks"])


@as_root
def test_root_without_the_right_to_trace() -> None:
    before = (tool("setpriv"), "--bounding-set=-sys_ptrace", "--inh-caps=-all")
    with running("rayon_fork.py", "process", "true", "1") as program:
        seen = look(program.pid, before=before)
    assert set(seen["pids"]) == {program.pid, *program.workers}
    assert all("CAP_SYS_PTRACE" in limit and "--cap-add SYS_PTRACE" in limit for limit in seen["limits"])
    assert seen["limits"]
    assert [certainty for _, certainty in seen["verdicts"]] == ["undecided"]
    assert all("CAP_SYS_PTRACE" in why for why in seen["no_stacks"])


@as_root
@pytest.mark.slow
def test_with_as_few_rights_as_the_other_all_is_seen() -> None:
    """As in an ordinary container."""
    few = (tool("setpriv"), "--bounding-set=-sys_ptrace", "--inh-caps=-all")
    with started(*few, sys.executable, "-c", "print('ready', flush=True); input()") as process:
        seen = look(process.pid, before=few)
    assert seen["limits"] == []
    assert seen["kinds"] == [WaitKind.PIPE_READ]
    assert seen["no_stacks"] == []


@as_root
@pytest.mark.slow
def test_a_process_that_hides_itself_from_its_own_user() -> None:
    few = (tool("setpriv"), "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    python = tool("python3") if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    line = [*few, "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else python, "-I", "-c", NOT_DUMPABLE]
    with started(*line, cwd="/") as process:
        seen = look(process.pid, user=NOBODY)
        assert look(process.pid)["limits"] == []  # root sees it
    assert any("PR_SET_DUMPABLE" in limit for limit in seen["limits"])
    assert seen["pids"] == [process.pid]


@as_root
@pytest.mark.slow
def test_a_process_in_a_namespace_of_its_own() -> None:
    """Its PIDs are others inside; from outside it is a process like any other."""
    script = "print('ready', flush=True); input()"
    with started(tool("unshare"), "--pid", "--fork", "--kill-child", sys.executable, "-c", script) as process:
        seen = look(process.pid)
    assert seen["limits"] == []
    assert len(seen["pids"]) == 2
    assert WaitKind.PIPE_READ in seen["kinds"]


@as_root
def test_from_inside_a_namespace_the_rest_is_said_to_be_outside() -> None:
    line = "from cvdebug.core.observe import permissions as p; print(p.unseen(99999))"
    inside = (tool("unshare"), "--pid", "--fork", "--mount-proc", sys.executable, "-c", line)
    done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=True)
    assert "--pid=container:" in done.stdout
