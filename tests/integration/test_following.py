"""Following real programs: what is said of them in events, and what a person can ask for."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from pathlib import Path

import pytest
from cvdebug.core import events as ev
from cvdebug.core import journal
from cvdebug.core.commands import Dump, Fix, Kill, Propose
from cvdebug.core.errors import UsageError
from cvdebug.core.following import Following
from cvdebug.core.model import Strategy
from cvdebug.core.observe import permissions, proc
from cvdebug.core.supervise.captured import KEPT_LINES, LINE_BYTES, Captured
from cvdebug.core.supervise.command import NotStarted

from tests.programs import running, until

from .listening import DEADLINE_S, Listener, captured, followed, hangs
from .looking import cvdebug, started, terminal

LOOPS = "print('ready', flush=True)\nwhile True: time.sleep(0.05)"


# what is seen


def test_a_hang_is_seen_named_and_left_with_3(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with running("hangs.py", "queue-join-before-drain") as program, followed(program.pid, record=record) as seen:
        attached = seen.until(ev.Attached)
        assert (attached.pid, attached.watched) == (program.pid, False)
        assert attached.command[-1] == "queue-join-before-drain"
        verdict = seen.until(ev.VerdictReached, hangs)
        assert (verdict.slug, verdict.certainty) == ("queue-join-before-drain", "proven")
        assert set(seen.until(ev.Stuck).dead) == {program.pid, *program.workers}
        state = seen.state
        assert state.status == "proven deadlock"
        assert {pid for pid, process in state.processes.items() if process.dead} == {program.pid, *program.workers}
        assert state.stacks[program.pid].stack.frames
        assert state.graph is not None
        assert f"{program.pid}/{program.pid}" in state.graph.stuck
        finished = seen.leave()
        assert (finished.outcome, finished.exit_code) == ("hang", 3)
        assert proc.snapshot([program.pid, *program.workers]).keys() == {program.pid, *program.workers}
    assert list(journal.read(record)) == seen.heard


def test_what_is_no_hang_is_left_with_130() -> None:
    with started(LOOPS) as program, followed(program.pid) as seen:
        verdict = seen.until(ev.VerdictReached)
        assert verdict.certainty in ("not-hung", "undecided")
        assert seen.state.status == "running"
        finished = seen.leave()
    assert (finished.outcome, finished.exit_code) == ("interrupted", 130)
    assert f"process {program.pid} was left" in finished.what


def test_it_moves_again_and_ends_by_itself() -> None:
    with started(LOOPS) as program, followed(program.pid) as seen:
        seen.until(ev.VerdictReached)
        os.kill(program.pid, signal.SIGSTOP)
        assert seen.until(ev.VerdictReached, hangs).slug == "process-stopped"
        seen.until(ev.Stuck)
        assert seen.status == "stuck"
        os.kill(program.pid, signal.SIGCONT)
        assert seen.until(ev.VerdictWithdrawn).slug == "process-stopped"
        seen.until(ev.Unstuck)
        assert seen.status == "running"
        assert not any(map(hangs, seen.state.verdicts.values()))
        assert program.stdin is not None
        program.kill()
        program.wait()
        finished = seen.end()
        assert not seen.state.processes
    assert (finished.outcome, finished.exit_code) == ("completed", 3)
    assert "has ended" in finished.what


def test_a_tree_that_ends_without_a_hang_is_0() -> None:
    with started("print('ready', flush=True); input()") as program, followed(program.pid) as seen:
        seen.until(ev.TreeSampled)
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
        finished = seen.end()
    assert (finished.outcome, finished.exit_code) == ("completed", 0)


def test_what_cannot_be_followed_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    finished = Listener(Following(999_999_999)).end()
    assert (finished.outcome, finished.exit_code) == ("failed", 1)
    assert "process 999999999 cannot be looked at: there is none" in finished.what
    limit = permissions.Limit(what=permissions.WAITS, why="it is shy", remedy="Run cvdebug as root.")
    monkeypatch.setattr(permissions, "blindness", lambda pid: limit)
    with started(LOOPS) as program:
        seen = Listener(Following(program.pid))
        assert "it is shy" in seen.until(ev.Log).text
        finished = seen.leave()
    assert (finished.outcome, finished.exit_code, finished.hint) == ("failed", 1, "Run cvdebug as root.")
    with pytest.raises(UsageError):
        Following(os.getpid(), record=tmp_path / "no" / "file")


def test_children_that_come_and_go_are_no_trouble() -> None:
    code = (
        "import subprocess\nprint('ready', flush=True)\n"
        "while True: [child.wait() for child in [subprocess.Popen(['true']) for _ in range(4)]]"
    )
    with started(code) as program, followed(program.pid) as seen:
        for _ in range(4):
            seen.until(ev.TreeSampled)
        assert program.pid in seen.state.processes
        assert len(seen.state.processes) < 20
        assert seen.leave().exit_code in (3, 130)


def test_leaving_does_not_wait_for_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, over = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> dict[int, str]:
        busy.set()
        over.wait(DEADLINE_S)
        return {}

    monkeypatch.setattr("cvdebug.core.looks.signals.kill", slow)
    with running("hangs.py", "queue-join-before-drain") as program, followed(program.pid) as seen:
        seen.until(ev.Stuck)
        seen.send(Fix(Strategy.RELEASE))
        assert busy.wait(DEADLINE_S)
        began_s = time.monotonic()
        assert seen.leave().exit_code == 3
        assert time.monotonic() - began_s < 3
        over.set()


# what is asked


def test_stacks_are_read_when_asked() -> None:
    with started(LOOPS) as program, followed(program.pid) as seen:
        seen.until(ev.TreeSampled)
        seen.send(Dump(program.pid))
        read = seen.until(ev.StacksRead, lambda event: event.asked)
        assert (read.pid, read.trouble) == (program.pid, "")
        assert read.stacks[0].frames
        seen.send(Dump(os.getpid()))
        assert "does not belong to this tree" in seen.until(ev.StacksRead, lambda event: event.asked).trouble


def test_a_hang_stands_while_its_native_stacks_are_read() -> None:
    with running("hangs.py", "queue-join-before-drain") as program, followed(program.pid) as seen:
        seen.until(ev.Stuck)
        seen.send(Dump(program.pid, native=True))
        assert seen.until(ev.StacksRead, lambda event: event.asked).native
        assert seen.leave().exit_code == 3
    assert not [event for event in seen.heard if isinstance(event, ev.Unstuck | ev.VerdictWithdrawn)]


def test_only_processes_of_the_tree_get_signals() -> None:
    with started(LOOPS) as program, started(LOOPS) as other, followed(program.pid) as seen:
        seen.until(ev.TreeSampled)
        ticks = {pid: seen_.start_ticks for pid, seen_ in proc.snapshot([program.pid, other.pid]).items()}
        for pid, start_ticks in ((other.pid, ticks[other.pid]), (program.pid, ticks[program.pid] + 1)):
            seen.send(Kill(pid, start_ticks, signal.SIGKILL))
            assert seen.until(ev.Signalled).trouble
        assert (program.poll(), other.poll()) == (None, None)
        seen.send(Kill(program.pid, ticks[program.pid], signal.SIGTERM))
        assert seen.until(ev.Signalled) == seen.heard[-1]
        assert program.wait(DEADLINE_S) == -signal.SIGTERM
        assert seen.end().exit_code == 0


def test_the_dead_can_be_released() -> None:
    with running("hangs.py", "queue-join-before-drain") as program, followed(program.pid) as seen:
        seen.until(ev.Stuck)
        seen.send(Propose())
        plan = seen.until(ev.FixPlanned)
        assert (plan.strategy, plan.ends, plan.proposed) == (Strategy.RELEASE, program.workers, True)
        assert any("own affair" in step for step in plan.steps)
        seen.send(Fix(Strategy.SERIAL))
        assert "did not start this program" in seen.until(ev.FixRefused).reason
        seen.send(Fix(Strategy.RELEASE))
        assert not seen.until(ev.FixPlanned).proposed
        seen.until(ev.FixStarted)
        assert (ended := seen.until(ev.Signalled)).trouble == ""
        assert ended.pid == program.workers[0]
        finished = seen.end()  # the parent goes on, and ends
        assert (finished.outcome, finished.exit_code) == ("completed", 3)
        assert not seen.state.verdicts


def test_what_is_not_proven_dead_is_not_ended() -> None:
    with started(LOOPS) as program, followed(program.pid) as seen:
        seen.until(ev.TreeSampled)
        for command, proposed in ((Propose(), True), (Fix(Strategy.RELEASE), False)):
            seen.send(command)
            refused = seen.until(ev.FixRefused)
            assert (refused.strategy, refused.proposed) == (Strategy.RELEASE, proposed)
            assert "no process is proven dead" in refused.reason
    code = "print('ready', flush=True); lock = threading.Lock(); lock.acquire(); lock.acquire()"
    with started(code) as program, followed(program.pid) as seen:
        seen.until(ev.Stuck)
        seen.send(Fix(Strategy.RELEASE))
        assert "to end the root is to end the program" in seen.until(ev.FixRefused).reason
        assert program.poll() is None


# a command that was started for it


def test_a_commands_output_and_exit_code_are_ours() -> None:
    line = "import sys; print('in:', repr(sys.stdin.read())); print('err', file=sys.stderr); sys.exit(7)"
    with captured("python3", "-u", "-c", line) as seen:
        assert seen.until(ev.Attached).watched
        assert "/dev/null" in seen.until(ev.Log).text
        finished = seen.end()
    assert (finished.outcome, finished.exit_code, finished.what) == ("failed", 7, "the command ended with exit code 7")
    said = "\n".join(event.text for event in seen.heard if isinstance(event, ev.Log) and event.origin == "output")
    assert said.splitlines() == ["in: ''", "err"]
    with captured("true") as seen:
        assert seen.until(ev.Attached).pid > 1
        assert seen.end().exit_code == 0
    with captured("sh", "-c", "kill -USR1 $$") as seen:
        finished = seen.end()
    assert (finished.exit_code, "SIGUSR1" in finished.what) == (128 + signal.SIGUSR1, True)


def test_what_cannot_be_run_is_refused_with_the_code_of_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo no first line says who reads this")
    script.chmod(0o755)
    for command, code in ((str(script), 126), (str(tmp_path / "nothing"), 127), ("no-such-command-anywhere", 127)):
        with pytest.raises(NotStarted) as refused, captured(command):
            pass
        assert refused.value.code == code
        assert command in str(refused.value)


@pytest.mark.parametrize(
    "code",
    ["trap '' TERM INT; setsid sleep 600 & echo up; sleep 600", "setsid sleep 600 & echo up; wait"],
    ids=["deaf", "willing"],
)
def test_leaving_ends_the_command_with_all_below_it(code: str) -> None:
    with captured("sh", "-c", code) as seen:
        seen.until(ev.Log, lambda event: "up" in event.text)
        seen.until(ev.TreeSampled, lambda _: len(seen.state.processes) > 1)
        tree = list(seen.state.processes)
        finished = seen.leave()
        assert finished.exit_code in (128 + signal.SIGKILL, 128 + signal.SIGTERM)
        assert not proc.snapshot(tree)


def test_a_hang_of_a_command_is_seen() -> None:
    code = "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()"
    with captured("python3", "-c", code) as seen:
        assert seen.until(ev.VerdictReached, hangs).certainty == "proven"
        assert seen.leave().exit_code == 128 + signal.SIGTERM


def test_a_command_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    """Though it may be executed: that is seen before there is a screen."""
    for name, content, word in (("headless", "#!/no/such/interpreter\n", "interpreter"), ("shapeless", "echo\n", "#!")):
        script = tmp_path / name
        script.write_text(content)
        script.chmod(0o755)
        with pytest.raises(NotStarted, match=word) as refused:
            Captured((str(script),))
        assert refused.value.code == 126


def test_a_flood_of_output_never_blocks_the_command_and_never_piles_up() -> None:
    many = 300_000
    runs = Captured(("sh", "-c", f"yes | head -{many}; printf '%100000s' x; printf '10%%\\r20%%\\r'; exit 3"))
    try:
        assert until(lambda: runs.exit_code, deadline_s=DEADLINE_S) == 3  # nobody has read a line
        lines, left_out = runs.lines(last=True)
        assert len(lines) <= KEPT_LINES + 100
        assert left_out + len(lines) >= many
        assert all(len(line) <= LINE_BYTES for line in lines)
        assert lines[-1] == "20%"
    finally:
        runs.close()


# on a terminal


def read(master: int, word: bytes = b"") -> str:
    """What comes on a terminal, up to a word, or to the end."""
    seen, end_s = b"", time.monotonic() + DEADLINE_S
    while not word or word not in seen:
        assert select.select([master], [], [], max(0.0, end_s - time.monotonic()))[0], seen[-4000:]
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        seen += piece
    return seen.decode(errors="replace")


@pytest.mark.slow
def test_on_a_terminal_the_app_opens_and_leaves_the_program_alone() -> None:
    with (
        running("hangs.py", "queue-join-before-drain") as program,
        terminal("attach", str(program.pid), columns=120) as (master, process),
    ):
        read(master, b"proven deadlock")
        os.write(master, b"q")
        shown = read(master)
        assert process.wait(DEADLINE_S) == 3
        assert f"Process {program.pid} was left as it hangs" in shown
        assert len(proc.snapshot([program.pid, *program.workers])) == 2


@pytest.mark.slow
def test_watch_with_the_app_gives_the_commands_exit_code() -> None:
    with terminal("watch", "--app", "--", "sh", "-c", "echo hello; exit 5", columns=120) as (master, process):
        read(master, b"failed")
        os.write(master, b"q")
        shown = read(master)
        assert process.wait(DEADLINE_S) == 5
        assert "The command ended with exit code 5" in shown


def test_what_the_app_cannot_do_is_a_usage_error() -> None:
    code, _, err = cvdebug("attach", "--once", "--record", "x", "1")
    assert (code, "--record" in err) == (2, True)


def test_attach_records_where_there_is_no_terminal(tmp_path: Path) -> None:
    record = tmp_path / "seen.jsonl"
    with started("print('ready', flush=True); input()") as program:
        threading.Timer(2.0, program.terminate).start()
        code, out, err = cvdebug("attach", "--record", str(record), str(program.pid))
    assert (code, err) == (0, "")
    assert f"cvdebug follows PID {program.pid}" in out
    assert f"Process {program.pid} has ended" in out
    assert isinstance(list(journal.read(record))[-1], ev.RunFinished)
