"""The app on real terminals, as a person has it: from the command to the prompt, whatever ends it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.driver import Command, until

from .raw import CVDEBUG, ENTERED, SMALL, Raw, assert_sane, opened
from .tmux import PROMPT, Terminal, needs_tmux


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home whose server has been made once; root's system account may pass it."""
    folder = Path(tempfile.mkdtemp(prefix="cvdebug-app-"))
    folder.chmod(0o755)
    yield folder
    Command(folder).run("db", "stop")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def command(home: Path) -> Iterator[Command]:
    command = Command(home, TERM="xterm-256color", COLORTERM="truecolor")
    yield command
    assert until(lambda: not command.left(), 5.0)


def assert_nothing_more(command: Command, before: set[int]) -> None:
    """What was started is gone, while the shell that started it lives."""
    assert until(lambda: set(command.left()) <= before, 5.0)


@needs_tmux
def test_a_person_turns_the_toggle_on_sees_the_deadlock_and_quits(command: Command) -> None:
    with Terminal(command.environment) as terminal:
        before = set(command.left())
        line = " ".join([*CVDEBUG, "run", *SMALL, "--parallelism", "on"])
        terminal.type(f"clear; before=$(stty -g); {line}; echo code $?; test $before = $(stty -g) && echo sane")
        shown = terminal.until("proven deadlock", "cleanup", "TOKENIZERS_PARALLELISM")
        assert terminal.in_app()
        assert "Traceback" not in shown
        terminal.press("q")
        shown = terminal.until("code 3", "sane")
        assert not terminal.in_app()
        assert "PROVEN  rayon-fork-deadlock" in shown
        assert "cvdebug resume" in shown
        assert_nothing_more(command, before)


@needs_tmux
@pytest.mark.slow
def test_a_run_that_completes_stays_until_it_is_quit_and_ends_with_its_summary(command: Command) -> None:
    with Terminal(command.environment) as terminal:
        terminal.type(" ".join(["clear;", *CVDEBUG, "run", *SMALL, "; echo code $?"]))
        terminal.until("completed")
        assert terminal.in_app()
        terminal.press("q")
        shown = terminal.until("code 0")
        assert "completed in" in shown
        assert "recall" in shown


@needs_tmux
@pytest.mark.slow
def test_a_fix_that_was_asked_for_on_the_command_line_happens_by_itself(command: Command) -> None:
    with Terminal(command.environment) as terminal:
        terminal.type(" ".join(["clear;", *CVDEBUG, "run", *SMALL, "--parallelism", "on", "--fix; echo code $?"]))
        terminal.until("completed")
        terminal.press("C-c")
        assert "kept from before" in terminal.until("code 0")


@needs_tmux
@pytest.mark.slow
def test_ctrl_z_gives_the_shell_back_and_fg_the_app(command: Command) -> None:
    with Terminal(command.environment) as terminal:
        terminal.type(" ".join(["clear;", *CVDEBUG, "run", *SMALL, "--parallelism", "on"]))
        terminal.until("proven deadlock")
        terminal.press("C-z")
        terminal.until("Stopped")
        assert not terminal.in_app()
        terminal.type("fg; echo code $?")
        until(terminal.in_app)
        terminal.until("proven deadlock", "cleanup")
        terminal.press("q")
        terminal.until("code 3")


@needs_tmux
@pytest.mark.slow
def test_ctrl_z_before_the_first_frame_waits_until_the_screen_can_be_left(command: Command) -> None:
    with Terminal(command.environment) as terminal:
        terminal.type(" ".join(["clear;", *CVDEBUG, "run", *SMALL, "--parallelism", "on"]))
        until(terminal.in_app)
        terminal.press("C-z")
        terminal.until("Stopped")
        assert not terminal.in_app()
        terminal.type("bg")
        terminal.until("Stopped", "bg")
        terminal.type("clear; fg; echo code $?")
        terminal.until("proven deadlock", "cleanup")
        terminal.press("q")
        terminal.until("code 3")


@needs_tmux
@pytest.mark.slow
def test_a_window_that_gets_too_small_says_so_and_comes_back(command: Command) -> None:
    with Terminal(command.environment, size=(160, 50)) as terminal:
        terminal.type(" ".join(["clear;", *CVDEBUG, "run", *SMALL, "--parallelism", "on; echo code $?"]))
        terminal.until("proven deadlock")
        terminal.resize(40, 10)
        terminal.until("too small")
        for width in range(50, 150, 10):
            terminal.resize(width, width // 3)
        terminal.resize(80, 24)
        terminal.until("proven deadlock", "quit")
        terminal.press("q")
        terminal.until("code 3")


@pytest.mark.slow
@pytest.mark.parametrize("term", ["linux", "screen", "vt100"])
@needs_tmux
def test_older_terminals_are_good_enough(command: Command, term: str) -> None:
    with Terminal({**command.environment, "COLORTERM": ""}) as terminal:
        terminal.type(" ".join(["clear;", f"TERM={term}", *CVDEBUG, "run", *SMALL, "--parallelism on; echo code $?"]))
        terminal.until("proven deadlock", "cleanup")
        terminal.press("q")
        terminal.until("code 3", PROMPT)


# what needs no tmux

each_signal = pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGHUP, signal.SIGINT))],
)


def test_a_hang_is_named_and_ctrl_c_ends_everything(command: Command) -> None:
    with opened(command, "--parallelism", "on") as raw:
        raw.expect(b"proven deadlock", b"cleanup")
        pressed_s = raw.send(b"\x03")
        raw.expect(b"\x1b[?1049l")
        assert raw.ended() == 3
        assert raw.until(lambda: True) - pressed_s < 3.0  # far more than it takes; tests.bench measures it
        assert_sane(raw)
        assert "PROVEN  rayon-fork-deadlock" in raw.output.decode()


@each_signal
def test_a_signal_ends_everything_and_leaves_the_terminal_sane(command: Command, number: signal.Signals) -> None:
    with opened(command, "--parallelism", "on") as raw:
        raw.expect(b"proven deadlock")
        raw.process.send_signal(number)
        assert raw.ended() == 128 + number
        assert_sane(raw)


@each_signal
def test_a_signal_before_the_first_frame_leaves_the_terminal_sane(command: Command, number: signal.Signals) -> None:
    with opened(command) as raw:
        raw.expect(ENTERED)
        raw.process.send_signal(number)
        assert raw.ended() == 128 + number
        assert raw.modes == raw.modes_before
        assert raw.output.rindex(b"\x1b[?1049l") > raw.output.rindex(ENTERED)


def test_ctrl_z_where_no_shell_could_continue_it_changes_nothing(command: Command) -> None:
    with opened(command) as raw:
        raw.expect(ENTERED)
        raw.send(b"\x1a")
        raw.expect(b"cleanup")
        raw.send(b"\x03")
        assert raw.ended() == 130
        assert_sane(raw)


@pytest.mark.slow
def test_who_stops_and_continues_it_from_outside_finds_the_screen_drawn_anew(command: Command) -> None:
    with opened(command, "--parallelism", "on") as raw:
        raw.expect(b"proven deadlock")
        raw.process.send_signal(signal.SIGSTOP)
        until(lambda: Path(f"/proc/{raw.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        raw.process.send_signal(signal.SIGCONT)
        raw.until(
            lambda: b"proven deadlock" in raw.output[raw.output.rindex(ENTERED) :] and raw.output.count(ENTERED) == 2
        )
        raw.send(b"q")
        assert raw.ended(10) == 3
        assert_sane(raw)


def test_a_terminal_without_a_size_is_calm_and_has_80_columns(command: Command) -> None:
    with Raw([*CVDEBUG, "run", *SMALL, "--parallelism", "on"], command.environment, size=(0, 0)) as raw:
        raw.expect(b"proven deadlock", b"\x1b[24;1H")
        assert b"\x1b[25;1H" not in raw.output
        assert len(raw.output) < 300_000
        raw.send(b"\x03")
        assert raw.ended(3.0) == 3
        assert_sane(raw)


@pytest.mark.slow
def test_a_terminal_that_reads_slowly_is_left_all_the_same(command: Command) -> None:
    before = journals(command)
    with opened(command, "--parallelism", "on") as raw:
        raw.expect(b"cv-pipeline")
        journal = until(lambda: journals(command) - before).pop()
        until(lambda: b"rayon-fork-deadlock" in journal.read_bytes())
        for width in range(80, 180):
            raw.resize(width, 50)
            raw.sip(64)
        raw.send(b"q")
        while raw.process.poll() is None:
            raw.sip(64)
            time.sleep(0.02)  # slower than it writes
        while raw.read(0.1):
            pass
        assert raw.modes == raw.modes_before
        assert b"\x1b[?1049l" in raw.output


@pytest.mark.slow
def test_a_terminal_that_goes_away_ends_everything(command: Command) -> None:
    """Also where the signal that tells of it is ignored."""
    program = ("sh", "-c", 'trap "" HUP; exec "$0" "$@"', *CVDEBUG)
    raw = opened(command, "--parallelism", "on", program=program)
    raw.expect(b"proven deadlock")
    raw.hang_up()
    assert raw.process.wait(10) != 0
    assert until(lambda: not command.left(), 5.0)


def test_a_terminal_that_nobody_reads_holds_nothing_up(command: Command) -> None:
    before = journals(command)
    with opened(command, "--parallelism", "on") as raw:
        raw.expect(b"cv-pipeline")  # and from now on nobody reads
        journal = until(lambda: journals(command) - before).pop()
        until(lambda: b"rayon-fork-deadlock" in journal.read_bytes())
        for width in range(80, 180):  # each paints everything anew, which is more than the terminal holds
            raw.resize(width, 50)
            time.sleep(0.01)  # a storm, not a single change
        raw.process.send_signal(signal.SIGTERM)
        assert raw.process.wait(10) == 128 + signal.SIGTERM
        assert raw.modes == raw.modes_before
        raw.expect(b"\x1b[?1049l", b"\x1b[?25h")


def journals(command: Command) -> set[Path]:
    return set(command.home.glob("runs/*/events.jsonl"))


@pytest.mark.slow
def test_quitting_while_the_server_is_made_waits_for_nothing(home: Path) -> None:
    (home / "fresh").mkdir(mode=0o755)
    command = Command(home / "fresh", TERM="xterm-256color")
    with opened(command) as raw:
        raw.expect(b"cleanup")
        until(lambda: list((home / "fresh").glob("postgres/initdb-*")))
        raw.send(b"q")
        assert raw.ended() == 130
        assert_sane(raw)
    assert not list((home / "fresh").glob("postgres/initdb-*"))
    assert command.spools() == []
    assert until(lambda: not command.left(), 5.0)


@pytest.mark.slow
def test_a_server_that_does_not_end_is_said_and_need_not_be_waited_for(command: Command) -> None:
    with opened(command, "--parallelism", "on") as raw:
        raw.expect(b"proven deadlock")
        (file,) = command.home.glob("postgres/data-*/postmaster.pid")
        postmaster = int(file.read_text().split()[0])
        os.kill(postmaster, signal.SIGSTOP)
        try:
            raw.send(b"q")
            raw.expect(b"is not gone yet")
            assert_sane(raw)
            raw.send(b"\x03")
            assert raw.ended(3.0) == 130
        finally:
            os.kill(postmaster, signal.SIGCONT)
        assert until(lambda: not file.exists(), 30.0)


@pytest.mark.slow
def test_kill_9_leaves_no_process_behind(command: Command) -> None:
    with opened(command, "--parallelism", "on") as raw:
        raw.expect(b"proven deadlock")
        assert len(command.left()) > 2
        raw.process.kill()
        raw.process.wait()
        assert until(lambda: not command.left(), 5.0)


def patched(code: str) -> tuple[str, ...]:
    """The command, with something done to it first."""
    return (sys.executable, "-P", "-c", f"{code}\nimport sys\nfrom cvdebug.tui.__main__ import main\nmain()")


CRASH = """
from cvdebug.tui.widgets.phases import Phases
def show(self, scene):
    if scene.state.run: raise RuntimeError("the password is password=hunter2 \x1b[31m")
Phases.show = show
"""


def test_a_defect_leaves_the_terminal_sane_and_is_one_sentence(command: Command) -> None:
    with opened(command, program=patched(CRASH)) as raw:
        assert raw.ended() == 1
        assert_sane(raw)
        said = raw.output.rpartition(b"\x1b[?25h")[2]
        assert b"defect of cvdebug" in said
        assert b"RuntimeError" in said
        assert b"hunter2" not in raw.output
        assert b"\x1b[31m" not in said


NOISE = """
import os, threading, time, warnings
def shout():
    for number in range(2000):
        os.write(2, b"NOISE from a library \x1b[2J\\n"); os.write(1, b"NOISE too\\n"); print("NOISE printed")
        warnings.warn(f"NOISE {number}"); time.sleep(0.005)
threading.Thread(target=shout, daemon=True).start()
"""


@pytest.mark.slow
def test_what_libraries_write_does_not_reach_the_screen(command: Command) -> None:
    with opened(command, "--parallelism", "on", program=patched(NOISE)) as raw:
        raw.expect(b"proven deadlock")
        shown = raw.output[raw.output.index(ENTERED) :]
        assert b"NOISE" not in shown
        raw.send(b"q")
        assert raw.ended() == 3
        said = [line for line in raw.output.splitlines() if line.startswith(b"cvdebug: written while")]
        assert b"NOISE from a library" in b"".join(said)
        assert b"\x1b" not in b"".join(said)


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_show_the_app_gets_lines(command: Command, variables: dict[str, str]) -> None:
    with Raw([*CVDEBUG, "run", *SMALL, "--parallelism", "on"], {**command.environment, **variables}) as raw:
        assert raw.ended() == 3
        assert ENTERED not in raw.output
        assert b"Evidence" in raw.output


@pytest.mark.slow
def test_no_color_is_no_colour(command: Command) -> None:
    environment = {**command.environment, "NO_COLOR": "1"}
    with Raw([*CVDEBUG, "run", *SMALL, "--parallelism", "on"], environment) as raw:
        raw.expect(b"proven deadlock")
        raw.send(b"q")
        assert raw.ended() == 3
        assert not re.search(rb"\x1b\[[0-9;]*[34]8;[25];", raw.output)


def left_to_ci(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no-such-scenario",), b"there is no scenario"),
        left_to_ci(("--workers", "0"), b"--workers"),
        left_to_ci(("--parallelism", "yes"), b"only on, off, unset"),
        left_to_ci(("--fix", "--hold"), b"exclude each other"),
        (("--dsn", "postgresql://["), b"cvdebug:"),
        left_to_ci(("--table", "chunks"), b"schema"),
        (("--no-such-flag",), b"No such option"),
        left_to_ci(("--tour", "--plain"), b"--tour"),
    ],
)
def test_a_usage_error_opens_no_screen(command: Command, arguments: tuple[str, ...], words: bytes) -> None:
    with opened(command, *arguments) as raw:
        assert raw.ended() == 2
        assert words in raw.output
        assert ENTERED not in raw.output
        assert b"Traceback" not in raw.output
