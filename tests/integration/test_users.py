"""An ordinary user and root: each has an embedded server of its own and leaves the other's alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvdebug.core import events as ev

from .driver import COMMAND, Command, Result, until

ROOT = Path(__file__).parents[2]
ORDINARY = "nobody"
MAIN = "from cvdebug.tui.cli import main; main()"


def reachable_python() -> str | None:
    """An interpreter of this version that an ordinary user may run, with our packages in reach; or None."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        if Path(candidate).exists() and _works(candidate):
            return candidate
    return None


def _environment(home: Path) -> dict[str, str]:
    """Our packages by path: an editable install's hook is not seen outside its venv."""
    links = home / "links" / "cvdebug"
    if not links.exists():
        links.mkdir(parents=True)
        for wing in ("core", "tui", "scenarios"):
            (links / wing).symlink_to(ROOT / wing)
    packages = sysconfig.get_path("purelib")
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"  # py-spy is there
    return {
        "PYTHONPATH": f"{links.parent}:{packages}", "HOME": str(home), "PATH": path, "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def _works(candidate: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        environment = _environment(Path(folder))
        line = [candidate, "-P", "-c", "import cvdebug.tui.cli, numpy, tokenizers"]
        try:
            run = subprocess.run(line, user=ORDINARY, env=environment, capture_output=True, check=False, cwd="/")
        except PermissionError:  # behind a folder that is closed to others
            return False
        return run.returncode == 0


@pytest.fixture
def ordinary_home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cvdebug-user-"))
    folder.chmod(0o755)
    _environment(folder)
    home = folder / "home"
    home.mkdir(mode=0o700)
    entry = pwd.getpwnam(ORDINARY)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_an_ordinary_user_runs_everything_and_owns_it(ordinary_home: Path) -> None:
    python = reachable_python()
    if python is None:
        pytest.skip("no interpreter of this version, with these packages, that an ordinary user may run")
    command = Command(ordinary_home / "home", **_environment(ordinary_home))
    for more, code in (((), 0), (("--parallelism", "on"), 3), (("--parallelism", "on", "--fix"), 0)):
        line = [python, "-P", "-c", MAIN, "run", "--cvs", "24", "--json", *more]
        run = subprocess.run(
            line, user=ORDINARY, group=pwd.getpwnam(ORDINARY).pw_gid, extra_groups=[], env=command.environment, cwd="/",
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        result = Result(run.returncode, run.stdout, run.stderr)
        assert result.code == code, result
        if code == 3:
            assert result.all(ev.VerdictReached)[-1].slug == "rayon-fork-deadlock"
        assert until(lambda: not command.left(), 5.0)
    uid = pwd.getpwnam(ORDINARY).pw_uid
    assert {path.stat().st_uid for path in (ordinary_home / "home").rglob("*") if path.exists()} == {uid}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_runs_on_a_server_of_an_account_of_its_own(open_folder: Path) -> None:
    home = open_folder / "roots"
    home.mkdir(mode=0o755, exist_ok=True)
    mode = open_folder.stat().st_mode
    command = Command(home)
    result = command.events("run", "--cvs", "24")
    assert result.code == 0, result
    assert until(lambda: not command.left(), 5.0)
    assert open_folder.stat().st_mode == mode
    data = next((home / "postgres").glob("data*"))
    assert data.stat().st_uid not in (0, pwd.getpwnam(ORDINARY).pw_uid)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_root_without_the_right_to_trace_stops_its_server(open_folder: Path) -> None:
    """As in a container: the working folder of another account's process is hidden there."""
    home = open_folder / "traceless"
    home.mkdir(mode=0o755)
    command = Command(home)
    line = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-all", *COMMAND, "run", "--cvs", "24"]
    run = subprocess.run(line, env=command.environment, capture_output=True, timeout=90, check=False)
    assert run.returncode == 0, run
    assert until(lambda: not command.left(), 5.0)
