"""The embedded server's folder: where it is, what is in it, and who may enter.

home            0700 of the caller; for root 0710 root:cvdebug, so that root never writes where another may
├── start.lock  held alone by whoever starts or stops the server
├── users.lock  shared by everybody who uses the server
├── server.lock shared by the server's own processes, through a descriptor that they inherit
├── pinned      there while the server stays up without users
├── server.log
├── data-18     0700, PostgreSQL's own
├── run         0700, the socket's
└── initdb-*    a data folder in the making
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from platformdirs import user_data_path

from ..errors import DatabaseError
from .account import Account, make_parents, private_folder
from .binaries import MAJOR

# sun_path holds 108 bytes, the last of them a zero (unix(7)).
_SOCKET_PATH_MAX = 107
_SOCKET = ".s.PGSQL.5432"
DATABASE = "cvdebug"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one embedded server."""

    home: Path
    run: Path

    @property
    def data(self) -> Path:
        return self.home / f"data-{MAJOR}"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def start_lock(self) -> Path:
        return self.home / "start.lock"

    @property
    def users_lock(self) -> Path:
        return self.home / "users.lock"

    @property
    def server_lock(self) -> Path:
        return self.home / "server.lock"

    @property
    def pinned(self) -> Path:
        return self.home / "pinned"

    def dsn(self, database: str = DATABASE) -> str:
        """A libpq URI over the private socket; no password, and nothing left to the PG* variables."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.run), safe='')}&port=5432"


def default_home() -> Path:
    """CVDEBUG_HOME/postgres, or the user's data folder, or root's own under /var/lib."""
    if chosen := os.environ.get("CVDEBUG_HOME"):
        return Path(chosen).expanduser() / "postgres"
    if os.geteuid() == 0:
        return Path("/var/lib/cvdebug/postgres")
    return user_data_path("cvdebug") / "postgres"


def prepare(home: Path | None, account: Account) -> Layout:
    """Makes and checks the folders. DatabaseError when one is a link, somebody else's, or out of reach."""
    home = Path(os.path.abspath(home or default_home()))
    try:
        make_parents(home)
    except OSError as error:
        raise DatabaseError(
            f"The folder for the embedded server, {home}, cannot be made ({error.strerror})",
            hint="Set CVDEBUG_HOME to a folder of yours, or pass --dsn",
        ) from error
    private_folder(home, mode=0o710 if account.foreign else 0o700, uid=os.geteuid(), gid=account.gid)
    if not account.can_enter(home):
        raise DatabaseError(
            f"The account {account.name}, which runs PostgreSQL for root, cannot enter {home}: "
            "a folder above it is closed to others",
            hint="Set CVDEBUG_HOME to a folder whose parents everybody may enter, such as /var/lib/cvdebug",
        )
    run = _socket_folder(home, account)
    private_folder(run, mode=0o700, uid=account.uid, gid=account.gid)
    return Layout(home=home, run=run)


def _socket_folder(home: Path, account: Account) -> Path:
    """`home/run`, or a private folder with a short name where the socket's path would be too long."""
    run = home / "run"
    if len(os.fsencode(run / _SOCKET)) <= _SOCKET_PATH_MAX:
        return run
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return Path(f"/tmp/cvdebug-{account.uid}-{digest}")
