"""What shells offer after Tab, asked as they ask, and the manual page that says what --help says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cvdebug.core import scenario
from cvdebug.core.errors import UsageError
from cvdebug.core.settings import FIELDS
from cvdebug.tui import cli
from cvdebug.tui.commands import completions, manual, watch_command

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("cvdebug")


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "CVDEBUG_HOME": str(tmp_path), **more}


def in_bash(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers for the last of `words`, by the script that cvdebug prints."""
    script = """
        eval "$SCRIPT"
        COMP_WORDS=(cvdebug "$@"); COMP_CWORD=$#
        _cvdebug_completion cvdebug
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    run = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        env=environment(tmp_path, SCRIPT=completions.script("bash")),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert run.stderr == ""
    return run.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_scenarios_options_and_their_words(tmp_path: Path) -> None:
    (tmp_path / "runs" / "20260101-000000-abcd").mkdir(parents=True)
    assert in_bash(tmp_path, "scen") == ["scenarios"]
    assert in_bash(tmp_path, "run", "") == scenario.names()
    assert in_bash(tmp_path, "run", "--start-method", "f") == ["fork", "forkserver"]
    assert in_bash(tmp_path, "run", "spawned", "--para") == ["--parallelism"]
    assert in_bash(tmp_path, "resume", "") == ["20260101-000000-abcd"]
    assert in_bash(tmp_path, "watch", "--on") == ["--on-hang"]
    assert in_bash(tmp_path, "run", "--input", "") == []  # bash then offers files


@pytest.mark.parametrize(
    ("shell", "more", "shown"),
    [
        ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}, ["on", "off"]),
        ("zsh", {}, ["""_arguments '*: :(("on\"""", '"off"))\'']),
    ],
)
def test_zsh_and_fish_are_answered_in_their_own_forms(
    tmp_path: Path, shell: str, more: dict[str, str], shown: list[str]
) -> None:
    asked = {"_CVDEBUG_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "cvdebug run --parallelism o", **more}
    run = subprocess.run(
        [PROGRAM], env=environment(tmp_path, **asked), capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.splitlines() == shown


@pytest.mark.parametrize("shell", completions.SHELLS)
def test_each_shell_takes_its_script(shell: str) -> None:
    script = completions.script(shell)
    assert "_CVDEBUG_COMPLETE" in script
    if (program := shutil.which(shell)) is not None:
        subprocess.run([program, "-n", "-c", script], check=True, timeout=60, capture_output=True)


def test_another_shell_is_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"there is no completion for tcsh\. Known: bash, fish, zsh"):
        completions.script("tcsh")


def test_every_choice_of_a_setting_is_offered() -> None:
    """An option whose setting takes one of some words completes them."""
    parameters = {parameter.name: parameter for parameter in top().commands["run"].params}
    for key, hint in FIELDS.items():
        words = getattr(hint, "__args__", ())
        if key in parameters and words and all(isinstance(word, str) for word in words):
            offered = completions.of_metavar(parameters[key].metavar)
            assert offered is not None
            assert set(offered("")) == set(words), key


def top() -> Any:
    return typer.main.get_command(cli.app)


def commands(group: Any, path: str = "cvdebug") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")


# --- the manual -------------------------------------------------------------------------------------------


def plain(source: str) -> str:
    """The page without the marks of roff."""
    for mark, character in manual._ESCAPES.items():
        source = source.replace(character, mark)
    return source


def test_the_manual_has_every_command_and_option_with_its_text() -> None:
    page = plain(manual.page(cli.app))
    for path, command in commands(top()):
        assert f'.SS "{path} ' in page
        assert " ".join((command.help or "").split("\n\n")[0].split()) in page
        for parameter in command.params:
            if parameter.help:
                assert parameter.help in page
                assert parameter.param_type_name != "option" or parameter.opts[0] in page
    for name, how in watch_command.OPTIONS.items():
        assert name in page
        assert how["help"] in page


def test_the_manual_and_the_readme_agree_on_exit_codes() -> None:
    rows = re.findall(r"^\| (\d\S*) \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {code: what.replace("`", "") for code, what in rows if code in manual.EXIT_CODES} == manual.EXIT_CODES


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_groff_has_nothing_to_say_against_the_manual() -> None:
    source = manual.page(cli.app).encode()
    run = subprocess.run(
        ["groff", "-man", "-K", "utf8", "-T", "utf8", "-ww", "-P", "-c"],
        input=source, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert run.stderr == b""
    shown = run.stdout.decode()
    assert "Run the pipeline: load, tokenize" in shown


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc here")
def test_mandoc_finds_no_error_in_the_manual() -> None:
    source = manual.page(cli.app).encode()
    subprocess.run(["mandoc", "-Tlint", "-Werror"], input=source, capture_output=True, timeout=60, check=True)


def test_man_in_a_pipe_is_the_source() -> None:
    run = subprocess.run([PROGRAM, "man"], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == manual.page(cli.app)
