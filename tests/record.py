"""Records the runs in tests/data anew, by really running them: `python -m tests.record [NAME ...]`.

What names this machine is replaced: the folders of the project, of Python and of cvdebug's own files.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cvdebug.core import events as ev
from cvdebug.core.journal import read

from .programs import running
from .tui.recorded import DATA, NAMES

PROJECT = Path(__file__).parents[1]
CVDEBUG = [sys.executable, "-m", "cvdebug.tui"]


def run(target: Path, home: Path, *arguments: str) -> None:
    """A run, recorded to `target`."""
    command = [*CVDEBUG, "run", *arguments, "--plain", "--record", str(target)]
    subprocess.run(command, env=_environment(home), stdout=subprocess.DEVNULL, check=False, timeout=300)


def attached(target: Path, home: Path) -> None:
    """A foreign program that hangs, followed until that is proven."""
    with running("hangs.py", "queue-join-before-drain") as program:
        command = [*CVDEBUG, "attach", str(program.pid), "--plain", "--record", str(target)]
        with subprocess.Popen(command, env=_environment(home), stdout=subprocess.DEVNULL) as process:
            while not any(isinstance(event, ev.Stuck) for event in _so_far(target)):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            process.wait(10)


RECORDERS: dict[str, Callable[[Path, Path], None]] = {
    "healthy": run,
    "deadlock-and-fix": lambda target, home: run(target, home, "--parallelism", "on", "--fix"),
    "database-lock": lambda target, home: run(target, home, "db-locked", "--fix", "--yes"),
    "slow-index": lambda target, home: run(target, home, "slow-index"),
    "attached": attached,
}
assert tuple(RECORDERS) == NAMES


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="cvdebug-record-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        Path(folder).chmod(0o755)
        home.chmod(0o755)
        for name in names or list(RECORDERS):
            target = Path(folder) / f"{name}.jsonl"
            RECORDERS[name](target, home)
            text = nameless(target.read_text(), home)
            (DATA / f"{name}.jsonl").write_text(text)
            print(f"{name}: {len(text.splitlines())} events, {len(text) / 1e3:.0f} kB")
        subprocess.run([*CVDEBUG, "db", "stop"], env=_environment(home), check=False, stdout=subprocess.DEVNULL)


def nameless(text: str, home: Path) -> str:
    """A recording in which nothing names this machine."""
    places = {
        str(home): "/home/me/.local/state/cvdebug",
        f"{PROJECT}/.venv": "/home/me/venv",
        str(PROJECT): "/home/me/cvdebug",
        sys.base_prefix: "/usr",
        os.path.expanduser("~"): "/home/me",
    }
    for place, instead in sorted(places.items(), key=lambda item: -len(item[0])):
        text = text.replace(place, instead)
    return re.sub(r"/tmp/[\w.-]+", "/tmp/x", text)


def _so_far(target: Path) -> list[ev.AnyEvent]:
    return list(read(target)) if target.exists() else []


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "CVDEBUG_HOME": str(home)}


if __name__ == "__main__":
    main(sys.argv[1:])
