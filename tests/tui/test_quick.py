"""The quick reader of `cvdebug run` knows what the command knows, reads it alike, and leaves the rest to it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from cvdebug.tui import cli
from cvdebug.tui.commands import quick
from cvdebug.tui.run_opening import RunOpening, Wish


def test_it_knows_every_flag_of_the_command_and_no_other() -> None:
    known = {*quick.FLAGS.values(), *quick.SWITCHES.values(), *quick.WORDS.values(), "scenario"}
    parameters = {f"{name}_s" if name.endswith("timeout") else name for name in inspect.signature(cli.run).parameters}
    assert known == parameters - {"json", "plain"}


def test_it_reads_what_is_plainly_right() -> None:
    words = "spawned --cvs 40 --parallelism=on --timeout 2.5 --fix --fix-with spawn --record a.jsonl"
    words += " --keep-spool --pull"
    assert quick.read(words.split()) == {
        "scenario": "spawned", "cvs": 40, "parallelism": "on", "timeout_s": 2.5, "fix": True, "fix_with": "spawn",
        "record": Path("a.jsonl"), "keep_spool": True, "pull": True,
    }  # fmt: skip
    assert quick.read([]) == {}


@pytest.mark.parametrize(
    "words",
    ["--help", "-h", "--json", "--plain", "--cvs", "--cvs x", "--cvs -1", "--cvs 1e3", "--nothing", "a b", "--fix=1",
     "--keep-spool=yes", "--table=", "--", "--cvs ٣", "--timeout inf", "--dsn --fix"],
)  # fmt: skip
def test_it_leaves_the_rest_to_the_command(words: str) -> None:
    assert quick.read(words.split()) is None


def test_a_run_again_keeps_what_was_asked_for(tmp_path: Path) -> None:
    wish = Wish(flags={"cvs": 40, "workers": 3, "dsn": None}, on_hang="fix", record=tmp_path / "a.jsonl")
    again = RunOpening(wish).again(flags={"parallelism": "on"})
    settings = again.resolved.settings
    assert (settings.cvs, settings.workers, settings.parallelism) == (40, 3, "on")
    assert again.flags == {"cvs": 40, "workers": 3, "parallelism": "on"}
    other = again.again(scenario="spawned")
    assert (other.name, other.resolved.settings.cvs, other.resolved.settings.parallelism) == ("spawned", 40, "on")
