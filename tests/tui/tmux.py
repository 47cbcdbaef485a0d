"""A terminal as a person has it: a shell in tmux, typed into and looked at."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from types import TracebackType

import pytest

DEADLINE_S = 30.0
EVERY_S = 0.03
PROMPT = "shell>"
SHELL = f"exec env PS1='{PROMPT} ' bash --norc --noprofile -i"
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not there; the pty tests cover the rest")


class Terminal:
    """An interactive bash in a tmux server of its own. What it started is gone when it is left."""

    def __init__(self, environment: Mapping[str, str], *, size: tuple[int, int] = (120, 40), term: str = "") -> None:
        """`term` is what TERM says inside; tmux's own where it is empty."""
        self._socket = f"cvdebug-{os.getpid()}-{secrets.token_hex(4)}"
        self._environment = {name: value for name, value in environment.items() if name not in ("TMUX", "NO_COLOR")}
        self._environment |= {"HISTFILE": "/dev/null", "LC_ALL": "C.UTF-8"}
        options = ["set-option", "-g", "default-terminal", term or "screen-256color", ";"]
        columns, lines = map(str, size)
        session = ["new-session", "-d", "-x", columns, "-y", lines, SHELL]
        self._tmux("-f", "/dev/null", "start-server", ";", *options, *session)
        try:
            self.until(PROMPT)
        except BaseException:
            self._tmux("kill-server")
            raise

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tmux("kill-server")

    def type(self, line: str) -> None:
        """Types a command, and Enter."""
        self._tmux("send-keys", "-l", line)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Presses keys, by tmux's names for them."""
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    @property
    def text(self) -> str:
        """What the screen shows."""
        return self._tmux("capture-pane", "-p")

    def in_app(self) -> bool:
        """Whether a program has the second screen."""
        return self._tmux("display-message", "-p", "#{alternate_on}").strip() == "1"

    @property
    def shell_pid(self) -> int:
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def until(self, *words: str, deadline_s: float = DEADLINE_S) -> str:
        """Waits until the screen shows all of `words`; what it shows then."""
        end_s = time.monotonic() + deadline_s
        while not all(word in (shown := self.text) for word in words):
            assert time.monotonic() < end_s, f"{words} did not come; the screen shows\n{shown}"
            time.sleep(EVERY_S)
        return shown

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self._socket, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment, timeout=20)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout
