"""The quick reader of `cvdebug run` knows what the command knows, reads it alike, and leaves the rest to it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from cvdebug.core.database import dsn, table
from cvdebug.core.errors import UsageError
from cvdebug.tui import cli
from cvdebug.tui.commands import quick
from cvdebug.tui.run_opening import PLAIN_DSN, PLAIN_TABLE, RunOpening, Wish
from hypothesis import given
from hypothesis import strategies as st


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


@given(st.from_regex(PLAIN_DSN, fullmatch=True).filter(bool))
def test_a_dsn_that_is_not_looked_at_before_the_screen_is_right(text: str) -> None:
    dsn.parse(text)


@given(st.from_regex(PLAIN_TABLE, fullmatch=True))
def test_a_table_that_is_not_looked_at_before_the_screen_is_right(text: str) -> None:
    table.TableName.parse(text)


@pytest.mark.parametrize(
    "flags",
    [{"dsn": "postgresql://me@["}, {"dsn": "postgresql://a:p@ss@host/cvs"}, {"dsn": "hots=localhost"}, {"dsn": " "},
     {"table": "chunks"}, {"table": f"a.{'b' * 64}"}],
)  # fmt: skip
def test_what_is_wrong_is_refused_before_the_screen(flags: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        RunOpening(Wish(flags=flags))


@pytest.mark.parametrize(
    "text",
    ["postgresql://postgres@/app?host=%2Frun%2Fdb&port=5432", "postgresql://me:secret@db.example.com:5432/cvs",
     "host=/run/db dbname=cvs"],
)  # fmt: skip
def test_the_first_frame_waits_for_no_driver_where_the_dsn_is_plain(text: str) -> None:
    code = "import sys; from cvdebug.tui.run_opening import RunOpening, Wish"
    code += "; RunOpening(Wish(flags={'dsn': sys.argv[1]})); print('psycopg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, text], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
