"""A wheel, built and installed as a user's would be, runs from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .driver import Command, until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(tree)], check=True)
    for name in ("core", "tui", "scenarios", "pyproject.toml", "README.md"):  # as it stands now, committed or not
        subprocess.run(["rm", "-r", str(tree / name)], check=True)
        subprocess.run(["cp", "-a", str(ROOT / name), str(tree)], check=True)
    run = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(tree)], capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()[-3000:]
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    patterns = ("*.py", "*.toml", "*.json", "py.typed")
    tree = {
        f"cvdebug/{path.relative_to(ROOT)}"
        for wing in ("core", "tui", "scenarios")
        for pattern in patterns
        for path in (ROOT / wing).rglob(pattern)
    }
    assert packed == tree


@pytest.mark.slow
def test_it_runs_from_a_fresh_venv_in_any_folder(wheel: Path, database: str, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True, capture_output=True)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "core").mkdir(parents=True)
    (elsewhere / "core" / "__init__.py").write_text("raise ImportError('the wrong core')")
    marked = Command(tmp_path / "home", PYTHONPATH=str(elsewhere))
    run = subprocess.run(
        [str(python.with_name("cvdebug")), "run", "--dsn", database, "--cvs", "8", "--parallelism", "on", "--fix"],
        capture_output=True,
        cwd=elsewhere,
        env=marked.environment,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout.decode() + run.stderr.decode()
    assert b"rayon-fork-deadlock" in run.stdout
    assert until(lambda: not marked.left(), 5.0)
    assert os.listdir(elsewhere) == ["core"]
