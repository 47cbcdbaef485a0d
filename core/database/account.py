"""The account that PostgreSQL runs as, and folders that only it and the caller may enter.

PostgreSQL refuses to run as root; root's server runs as a system account without a login. No folder that was there
before is ever opened up: a parent that keeps the account out is an error with a sentence, not a chmod.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..errors import DatabaseError

SYSTEM_ACCOUNT = "cvdebug"


@dataclass(frozen=True, slots=True)
class Account:
    """Who PostgreSQL runs as. `foreign`: somebody else than the caller, which is the case for root alone."""

    name: str
    uid: int
    gid: int
    foreign: bool

    def run(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs a short command as this account, with a bare environment. OSError when it cannot be started."""
        if self.foreign:
            return subprocess.run(
                argv, user=self.uid, group=self.gid, extra_groups=[],
                env=bare_environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
        return subprocess.run(
            argv, env=bare_environment(), cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def can_enter(self, folder: Path) -> bool:
        """Whether every folder on the way to `folder`, and it too, may be passed."""
        return not self.foreign or self.run("/bin/sh", "-c", 'cd -- "$1"', "sh", folder).returncode == 0


def bare_environment() -> dict[str, str]:
    """What PostgreSQL's programs need, without the caller's PG*, LD_* and locale variables."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def account_for_this_process() -> Account:
    """The caller's own account, or for root the system account, made when missing. DatabaseError when it cannot be."""
    uid = os.geteuid()
    if uid != 0:
        return Account(name=str(uid), uid=uid, gid=os.getegid(), foreign=False)
    entry = _find(SYSTEM_ACCOUNT) or _create(SYSTEM_ACCOUNT)
    if entry.pw_uid == 0:
        raise DatabaseError(
            f"The account {SYSTEM_ACCOUNT} is root under another name, and PostgreSQL refuses to run as root",
            hint="Run cvdebug as an ordinary user, or pass --dsn",
        )
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, foreign=True)


def _find(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


# shadow-utils, then BusyBox (Alpine).
_CREATORS = (
    ("useradd", "--system", "--user-group", "--no-create-home",
     "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"),
    ("adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin"),
)  # fmt: skip


def _create(name: str) -> pwd.struct_passwd:
    said = "neither useradd nor adduser is installed"
    for program, *flags in _CREATORS:
        if shutil.which(program):
            done = subprocess.run(
                [program, *flags, name], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            said = done.stderr.strip() or said
        # Looked up in any case: a second cvdebug may just have made it.
        if entry := _find(name):
            return entry
    raise DatabaseError(
        f"PostgreSQL refuses to run as root, and the system account {name} could not be made ({said})",
        hint="Run cvdebug as an ordinary user, or pass --dsn",
    )


def make_parents(folder: Path) -> None:
    """Makes the missing folders above `folder`: 0755 as root, so that the system account can pass; else 0700."""
    mode = 0o755 if os.geteuid() == 0 else 0o700
    missing = [parent for parent in folder.parents if not parent.exists()]
    for parent in reversed(missing):
        try:
            parent.mkdir(mode=mode)
        except FileExistsError:
            continue
        parent.chmod(mode)  # mkdir is subject to the umask; only a folder made just now is touched


def private_folder(path: Path, *, mode: int, uid: int, gid: int) -> None:
    """Makes or checks a folder of exactly this owner and mode. DatabaseError when it is a link or somebody else's.

    A folder of the right owner with another mode gets the right one. `uid` differs from the caller's only for root.
    """
    made = _make(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise DatabaseError(
            f"{path} is not a folder that can be used ({error.strerror})",
            hint="Remove it, or set CVDEBUG_HOME to another folder",
        ) from error
    try:
        if made:
            os.fchown(fd, uid, gid)
        found = os.fstat(fd)
        if found.st_uid != uid:
            raise DatabaseError(
                f"{path} belongs to user {found.st_uid}, not to user {uid}",
                hint="Remove it, or set CVDEBUG_HOME to another folder",
            )
        if os.geteuid() == 0 and found.st_gid != gid:
            os.fchown(fd, uid, gid)
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _make(path: Path) -> bool:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return False
    except OSError as error:
        raise DatabaseError(
            f"The folder {path} cannot be made ({error.strerror})", hint="Set CVDEBUG_HOME to a folder of yours"
        ) from error
    return True
