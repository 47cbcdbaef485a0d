"""Records the runs in tests/data anew, by really running them: `python -m tests.record [NAME ...]`.

A hang is recorded as a person would meet it: it is held, its stacks come, a plan is priced and read, and then it is
fixed. What names this machine is replaced: the folders of the project, of Python and of cvdebug's own files.
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
from threading import Timer

from cvdebug.core import events as ev
from cvdebug.core.commands import Cancel, Fix, Propose
from cvdebug.core.following import Following
from cvdebug.core.model import Strategy
from cvdebug.core.state import RunState, fold
from cvdebug.tui.run_opening import RunOpening, Wish

from .programs import running
from .tui.recorded import DATA, NAMES

PROJECT = Path(__file__).parents[1]
# How long somebody looks at a hang when all of it is there.
LOOKS_S = 2.0


def run(target: Path, scenario: str, **flags: str) -> None:
    """A run that nobody touches."""
    for _ in RunOpening(Wish(scenario=scenario, flags=flags, record=target)).open().events():
        pass


def fixed(target: Path, scenario: str, strategy: Strategy, **flags: str) -> None:
    """A run that hangs, and is fixed when all that can be known of it is."""
    session = RunOpening(Wish(scenario=scenario, flags=flags, record=target)).open()
    held, looking = False, None
    for event in session.events():
        if isinstance(event, ev.Held):
            held = True
            session.send(Propose(measure=strategy))
        if held and looking is None and _all_known(session.state, strategy):
            looking = Timer(LOOKS_S, session.send, [Fix(strategy, yes=True)])
            looking.start()
    assert looking is not None, f"{scenario} was never to be fixed"


def _all_known(state: RunState, strategy: Strategy) -> bool:
    """Whether the stacks of all that are dead have been read, and the price of the fix is known, if it has one."""
    if state.stuck is None or strategy not in state.proposals:
        return False
    dead = {pid for pid, process in state.processes.items() if process.dead}
    read = {stack.pid for stack in state.stacks.values() if stack.at > state.moved_at}
    return dead <= read and (strategy is Strategy.UNBLOCK or bool(state.proposals[strategy].prices))


def attached(target: Path) -> None:
    """A foreign program that hangs, followed until that is proven and its stacks are read."""
    with running("hangs.py", "queue-join-before-drain") as program:
        following = Following(program.pid, record=target)
        state, looking = RunState(), None
        for event in following.events():
            state = fold(state, event)
            if looking is None and state.stuck and state.stacks:
                looking = Timer(LOOKS_S, following.send, [Cancel(signal.SIGINT)])
                looking.start()


RECORDERS: dict[str, Callable[[Path], None]] = {
    "healthy": lambda target: run(target, "cv-pipeline"),
    "deadlock-and-fix": lambda target: fixed(target, "cv-pipeline", Strategy.SERIAL, parallelism="on"),
    "database-lock": lambda target: fixed(target, "db-locked", Strategy.UNBLOCK),
    "slow-index": lambda target: run(target, "slow-index"),
    "attached": attached,
}
assert tuple(RECORDERS) == NAMES


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="cvdebug-record-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        Path(folder).chmod(0o755)
        home.chmod(0o755)
        os.environ["CVDEBUG_HOME"] = str(home)
        for name in names or list(RECORDERS):
            target = Path(folder) / f"{name}.jsonl"
            RECORDERS[name](target)
            text = nameless(target.read_text(), home)
            (DATA / f"{name}.jsonl").write_text(text)
            print(f"{name}: {len(text.splitlines())} events, {len(text) / 1e3:.0f} kB")
        subprocess.run([sys.executable, "-m", "cvdebug.tui", "db", "stop"], check=False, stdout=subprocess.DEVNULL)


def nameless(text: str, home: Path) -> str:
    """A recording in which nothing names this machine."""
    places = {
        str(home): "/home/me/.local/state/cvdebug",
        f"{PROJECT}/.venv": "/home/me/venv",
        str(PROJECT): "/home/me/cvdebug",
        sys.base_prefix: "/home/me/python",  # not /usr: what stands there on another machine would be shown as source
        os.path.expanduser("~"): "/home/me",
    }
    for place, instead in sorted(places.items(), key=lambda item: -len(item[0])):
        text = text.replace(place, instead)
    return re.sub(r"/tmp/[\w.-]+", "/tmp/x", text)


if __name__ == "__main__":
    main(sys.argv[1:])
