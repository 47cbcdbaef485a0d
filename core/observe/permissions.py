"""What may be seen of a process from here, and for each limit a sentence with its reason and remedy.

Nothing else decides why something was refused. It asks the kernel by opening files, and then looks for the reason
(ptrace(2), "Ptrace access mode checking"): it never guesses from the reason alone. Reads only.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from ..errors import sentences
from . import proc
from .calls import NUMBERS
from .kernel import read

WAITS = "what its threads wait for, and its Python stacks"
EVERYTHING = "its open files, what its threads wait for, and its Python stacks"

# include/uapi/linux/capability.h
_SYS_PTRACE = 19
_CAPABILITIES = {
    1: "CAP_DAC_OVERRIDE", 6: "CAP_SETGID", 7: "CAP_SETUID", 12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW",
    19: "CAP_SYS_PTRACE", 21: "CAP_SYS_ADMIN", 23: "CAP_SYS_NICE",
}  # fmt: skip
_YAMA = "/proc/sys/kernel/yama/ptrace_scope"
# fs/proc/root.c, PROC_PID_INIT_INO: the PID namespace of the whole machine.
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
_NAMED = 8
_ROOT = "Run cvdebug as root"
_CONTAINER = "Give the container the right: docker run --cap-add SYS_PTRACE"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """Something that cannot be seen. `what` is a noun phrase, `why` a clause, `remedy` a sentence of advice."""

    what: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        return sentences(f"{self.what}: {self.why}", self.remedy)


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """Who a process is. `uids` are real, effective, saved and file system; `uid_map` tells user namespaces apart."""

    uids: tuple[int, ...]
    gids: tuple[int, ...]
    effective: int
    permitted: int
    uid_map: bytes


def limits(pid: int) -> tuple[Limit, ...]:
    """What cannot be seen of a process, most important first; empty when all of it can be, or when it has ended."""
    return tuple(_limits(pid))


def of_many(pids: Iterable[int]) -> tuple[str, ...]:
    """The limits of several processes as sentences, those with one reason together."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for pid in pids:
        for limit in limits(pid):
            found.setdefault((limit.what, limit.why, limit.remedy), []).append(pid)
    return tuple(
        sentences(f"{what} (PID {_listed(those)}): {why}", remedy) for (what, why, remedy), those in found.items()
    )


def _listed(pids: Sequence[int]) -> str:
    more = f" and {len(pids) - _NAMED} more" if len(pids) > _NAMED else ""
    return ", ".join(map(str, pids[:_NAMED])) + more


def ptrace_hint(pid: int) -> str:
    """What to do when a look at the stacks of a process was refused."""
    for limit in limits(pid):
        if limit.remedy:
            return sentences(limit.why[:1].upper() + limit.why[1:], limit.remedy)
    if scope := _yama():  # py-spy is no ancestor of what this process started, and may be refused alone
        return sentences(_yama_reason(scope), _yama_remedy(scope))
    if _number(read("/proc/self/status"), b"\nSeccomp:", 10):
        return f"A seccomp filter may forbid it. {_CONTAINER}, or --security-opt seccomp=unconfined."
    return "Be the same user, or root. In a container: docker run --cap-add SYS_PTRACE."


def system() -> tuple[Limit, ...]:
    """What this system and processor do not let anybody see."""
    if sys.platform != "linux":
        what = "what the threads wait for, who could wake them, and so any proof"
        remedy = "Run it with sudo for Python stacks." if sys.platform == "darwin" else ""
        return (Limit(what=what, why=f"only Linux tells, and this is {sys.platform}", remedy=remedy),)
    if not NUMBERS:
        why = f"the numbers of the system calls are not known for this processor ({proc.MACHINE})"
        return (Limit(what="what the threads wait for", why=why),)
    return ()


def outside(*, hidden: bool) -> Limit:
    """Why not everybody outside of a tree can be looked at. `hidden`: /proc does not list everybody."""
    what = "what other users' processes hold: a pipe or socket inherited from one of them is taken to be in use"
    if hidden:
        return Limit(what=what, why="/proc is mounted with hidepid", remedy=f"{_ROOT}.")
    if os.geteuid() == 0:
        return Limit(what=what, why="this root may not trace everybody", remedy=f"{_CONTAINER}.")
    return Limit(what=what, why="it takes root", remedy=f"{_ROOT}.")


def unseen(pid: int) -> Limit | None:
    """Why a process is not in /proc; None when it is."""
    if os.path.exists(f"/proc/{pid}"):
        return None
    what = f"process {pid}"
    if _lives(pid):
        return Limit(what=what, why="it belongs to another user, and /proc is mounted with hidepid", remedy=f"{_ROOT}.")
    if _is_in_container():
        remedy = "For a process of the host or another container: docker run --pid=host, or --pid=container:NAME."
        return Limit(what=what, why="there is none in this container", remedy=remedy)
    return Limit(what=what, why="there is none", remedy="cvdebug ps lists the Python programs that run.")


def blindness(pid: int) -> Limit | None:
    """Why not even the waits of a process may be seen, so that it cannot be judged; None when they may."""
    if may_trace(pid):
        return None
    return next(iter(limits(pid)), Limit(what=WAITS, why="the kernel hides it"))


def may_read(pid: int) -> bool:
    """Whether its open files may be read; yes for a process that is gone.

    Its mappings tell less: since Linux 6.13 CAP_PERFMON is enough for them.
    """
    return _is_allowed(lambda: os.readlink(f"/proc/{pid}/cwd"))


def may_trace(pid: int) -> bool:
    """Whether system calls, memory and stacks may be read; yes for a process that is gone."""
    return _is_allowed(lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)))


def credentials(pid: int) -> Credentials | None:
    """Who a process is; everybody may know. None when it is gone."""
    status = read(f"/proc/{pid}/status")
    uids, gids = _numbers(status, b"\nUid:"), _numbers(status, b"\nGid:")
    if not uids or not gids:
        return None
    return Credentials(
        uids=uids,
        gids=gids,
        effective=_number(status, b"\nCapEff:", 16),
        permitted=_number(status, b"\nCapPrm:", 16),
        uid_map=read(f"/proc/{pid}/uid_map"),
    )


def why_refused(mine: Credentials, theirs: Credentials, *, owned_by_root: bool) -> tuple[str, str]:
    """The reason and the remedy of a refusal between two processes. `owned_by_root`: so their files in /proc are.

    The kernel's order: the user, what the process itself forbade, the capabilities.
    """
    user = mine.uids[1]
    if mine.uid_map != theirs.uid_map:
        return "it lives in another user namespace", f"{_ROOT} of the host, or inside of that namespace."
    if user and (set(theirs.uids[:3]) != {user} or set(theirs.gids[:3]) != {mine.gids[1]}):
        name = _name(theirs.uids[0])
        how = f"{_ROOT}: sudo cvdebug" if name == "root" else f"{_ROOT}, or as {name}: sudo -u {name} cvdebug"
        return f"it belongs to user {name}", f"{how} ..."
    if user and owned_by_root and theirs.uids[0]:
        why = "it does not let itself be looked at (PR_SET_DUMPABLE, or a program with rights of its own)"
        return why, f"{_ROOT}."
    missing = theirs.permitted & ~mine.effective
    if missing:
        return f"it has rights that this cvdebug has not ({_names(missing)})", _more_rights(user)
    if not user:
        return "this root may not trace (no CAP_SYS_PTRACE)", _more_rights(user)
    return "the kernel or a security module refuses it", f"{_ROOT}. In a container: docker run --cap-add SYS_PTRACE."


def _limits(pid: int) -> Iterator[Limit]:
    yield from system()
    if sys.platform != "linux" or (may_read(pid) and may_trace(pid)):
        return
    mine, theirs = credentials(os.getpid()), credentials(pid)
    if mine is None or theirs is None:
        return
    if may_read(pid) and (scope := _yama()):
        yield Limit(what=WAITS, why=_yama_reason(scope), remedy=_yama_remedy(scope))
        return
    why, remedy = why_refused(mine, theirs, owned_by_root=_owner(pid) == 0)
    yield Limit(what=WAITS if may_read(pid) else EVERYTHING, why=why, remedy=remedy)


def _yama() -> int:
    return _number(b"\n" + read(_YAMA), b"\n", 10)


def _yama_reason(scope: int) -> str:
    return f"Yama forbids it (kernel.yama.ptrace_scope={scope})"


def _yama_remedy(scope: int) -> str:
    """Documentation/admin-guide/LSM/Yama.rst."""
    if scope >= 3:
        return "Nobody may trace until the machine starts again with a lower value."
    if scope == 2:
        return f"{_ROOT}, or sudo sysctl kernel.yama.ptrace_scope=0."
    return f"{_ROOT}, or sudo sysctl kernel.yama.ptrace_scope=0. For the waits alone: start it with cvdebug watch."


def _more_rights(user: int) -> str:
    if user:
        return f"{_ROOT}."
    return f"{_CONTAINER}; outside of one, run cvdebug as the host's root with all its rights."


def _names(capabilities: int) -> str:
    numbers = [n for n in range(capabilities.bit_length()) if capabilities >> n & 1]
    numbers.sort(key=lambda n: (n != _SYS_PTRACE, n not in _CAPABILITIES, n))
    shown = [_CAPABILITIES.get(n, f"capability {n}") for n in numbers[:3]]
    return ", ".join(shown) + (f" and {len(numbers) - 3} more" if len(numbers) > 3 else "")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return f"#{uid}"


def _owner(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/maps").st_uid
    except OSError:
        return -1


def _is_allowed(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _is_in_container() -> bool:
    try:
        return os.readlink("/proc/self/ns/pid") != _FIRST_PID_NAMESPACE
    except OSError:
        return False


def _numbers(status: bytes, key: bytes) -> tuple[int, ...]:
    line = status.partition(key)[2].partition(b"\n")[0]
    return tuple(int(field) for field in line.split() if field.isdigit())


def _number(status: bytes, key: bytes, base: int) -> int:
    """0 when it is not there."""
    try:
        return int(status.partition(key)[2].partition(b"\n")[0], base)
    except ValueError:
        return 0
