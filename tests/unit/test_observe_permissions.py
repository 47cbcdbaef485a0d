"""Why something cannot be seen, and what to do about it: each reason has its sentence and its remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest
from cvdebug.core.errors import ObserveError
from cvdebug.core.model import WaitKind
from cvdebug.core.observe import kernel, permissions, programs, target, tree
from cvdebug.core.observe.glance import Glance
from cvdebug.core.observe.permissions import Credentials, why_refused

PTRACE, NET_ADMIN = 1 << 19, 1 << 12
HOST = b"0 0 4294967295"


def somebody(uid: int, *, effective: int = 0, permitted: int = 0, gid: int | None = None) -> Credentials:
    return Credentials(
        uids=(uid,) * 4, gids=(uid if gid is None else gid,) * 4, effective=effective, permitted=permitted, uid_map=HOST
    )


def test_another_user() -> None:
    why, remedy = why_refused(somebody(1000), somebody(0), owned_by_root=True)
    assert why == "it belongs to user root"
    assert "sudo cvdebug" in remedy


def test_another_user_that_has_no_name() -> None:
    assert why_refused(somebody(1000), somebody(2_000_000_000), owned_by_root=False)[0].endswith("#2000000000")


def test_another_group() -> None:
    assert "belongs to" in why_refused(somebody(1000), somebody(1000, gid=5), owned_by_root=False)[0]


def test_not_dumpable() -> None:
    why, remedy = why_refused(somebody(1000), somebody(1000), owned_by_root=True)
    assert "PR_SET_DUMPABLE" in why
    assert "root" in remedy


def test_fewer_rights_than_the_other() -> None:
    why, remedy = why_refused(somebody(0), somebody(0, permitted=PTRACE | NET_ADMIN), owned_by_root=True)
    assert "(CAP_SYS_PTRACE, CAP_NET_ADMIN)" in why
    assert "--cap-add SYS_PTRACE" in remedy
    why, remedy = why_refused(somebody(1000), somebody(1000, permitted=NET_ADMIN), owned_by_root=False)
    assert "CAP_NET_ADMIN" in why
    assert remedy == "Run cvdebug as root."


def test_a_root_that_may_not_trace() -> None:
    why, remedy = why_refused(somebody(0), somebody(1000), owned_by_root=False)
    assert "CAP_SYS_PTRACE" in why
    assert "--cap-add SYS_PTRACE" in remedy


def test_another_user_namespace() -> None:
    theirs = Credentials(uids=(0,) * 4, gids=(0,) * 4, effective=0, permitted=0, uid_map=b"0 1000 1")
    assert "user namespace" in why_refused(somebody(1000), theirs, owned_by_root=False)[0]


def test_no_reason_that_is_known_has_a_remedy_too() -> None:
    assert all(why_refused(somebody(1000), somebody(1000), owned_by_root=False))


@pytest.mark.parametrize(
    ("scope", "remedy"), [(b"1\n", "ptrace_scope=0"), (b"2\n", "ptrace_scope=0"), (b"3\n", "starts again")]
)
def test_yama(monkeypatch: pytest.MonkeyPatch, scope: bytes, remedy: str) -> None:
    def reading(path: str) -> bytes:
        return scope if "yama" in path else kernel.read(path)

    monkeypatch.setattr(permissions, "read", reading)
    monkeypatch.setattr(permissions, "may_trace", lambda pid: False)
    (limit,) = permissions.limits(os.getpid())
    assert f"ptrace_scope={scope.decode().strip()}" in str(limit)
    assert remedy in limit.remedy
    assert remedy in permissions.ptrace_hint(os.getpid())
    assert permissions.of_many([os.getpid()]) == (str(limit).replace(limit.what, f"{limit.what} (PID {os.getpid()})"),)


def test_yama_may_refuse_py_spy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "read", lambda path: b"1\n" if "yama" in path else kernel.read(path))
    assert permissions.limits(os.getpid()) == ()
    assert "ptrace_scope=0" in permissions.ptrace_hint(os.getpid())


def test_seccomp_is_named_when_nothing_else_explains_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "read", lambda path: b"x\nSeccomp:\t2\n")
    assert "seccomp=unconfined" in permissions.ptrace_hint(os.getpid())


def test_what_may_be_seen_has_no_limit() -> None:
    assert permissions.limits(os.getpid()) == ()
    assert permissions.limits(2**22 + 1) == ()  # gone


def test_who_is_not_there() -> None:
    assert permissions.unseen(os.getpid()) is None
    limit = permissions.unseen(2**22 + 1)
    assert limit is not None
    assert limit.remedy


@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("user", [0, 1000])
def test_outsiders(monkeypatch: pytest.MonkeyPatch, hidden: bool, user: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert permissions.outside(hidden=hidden).remedy


def test_an_unknown_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "NUMBERS", {})
    (limit,) = permissions.limits(os.getpid())
    assert "processor" in limit.why
    assert str(limit) in tree.take(os.getpid()).not_seen


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "LINUX", False)
    monkeypatch.setattr(sys, "platform", "darwin")


@pytest.mark.usefixtures("elsewhere")
def test_another_system_gives_what_psutil_does() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        first = tree.take(os.getpid())
        again = tree.retake(first)
        assert tree.members(os.getpid())[0] == os.getpid()
        child.communicate(b"\n")
    assert {process.pid for process in first.processes} >= {os.getpid(), child.pid}
    assert {process.pid for process in again.processes} >= {os.getpid(), child.pid}
    me = first.processes[0]
    assert (me.pid, me.ppid) == (os.getpid(), os.getppid())
    assert me.rss_bytes > 1_000_000
    assert me.threads[0].tid == me.pid
    assert me.threads[0].cpu_ticks > 0
    assert {wait.kind for wait in first.waits.values()} == {WaitKind.UNKNOWN}
    assert all(wait.external for wait in first.waits.values())  # so that nothing is ever proven
    assert any("darwin" in sentence for sentence in first.not_seen)


@pytest.mark.usefixtures("elsewhere")
def test_a_tree_that_is_gone_elsewhere() -> None:
    assert tree.take(2**22 + 1).processes == ()
    assert tree.members(2**22 + 1) == []


@pytest.mark.usefixtures("elsewhere")
def test_programs_are_found_and_followed_elsewhere() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert target.target(str(child.pid)) == child.pid
        assert os.getpid() not in programs.roots()
        assert tree.snapshot(child.pid)[0].pid == child.pid
        processes, resting = Glance().look(child.pid)
        child.communicate(b"\n")
    assert [*processes] == [child.pid]
    assert not resting
    with pytest.raises(ObserveError, match="there is none"):
        target.target(str(2**22 + 1))
    assert target.booted_at() == 0.0


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("name", ["cmdline", "threads"])
def test_what_psutil_may_not_read_is_left_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(process: psutil.Process) -> None:
        raise psutil.AccessDenied(process.pid)

    monkeypatch.setattr(psutil.Process, name, refuse)
    (me, *_) = tree.take(os.getpid()).processes
    assert me.threads[0].tid == os.getpid()


@pytest.mark.parametrize("question", [permissions.credentials, permissions.unseen, permissions.limits])
def test_any_number_is_answered(question: Callable[[int], object]) -> None:
    for pid in (0, 1, 2**31, 2**70):
        question(pid)
