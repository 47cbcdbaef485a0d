"""Commands that `cvdebug watch` runs in tests, and the mark that everything started by one of them carries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import programs

from .driver import processes

WATCH = (sys.executable, "-P", "-m", "cvdebug.tui", "watch")
LINE = " ".join(WATCH)
RAYON = (sys.executable, str(Path(programs.__file__).with_name("rayon_fork.py")), "process", "true", "2")
MARK = "CVDEBUG_TEST_MARK"


def marked(value: str) -> list[int]:
    """The living processes that carry the mark, zombies excepted."""
    return [pid for pid in processes() if f"{MARK}={value}".encode() in environment_of(pid)]


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def watch(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run((*WATCH, *arguments), capture_output=True, text=True, timeout=60, check=False, **options)


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen((*WATCH, *arguments), stdout=pipe, stderr=pipe, text=True, **options)
