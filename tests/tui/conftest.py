"""An app on stage makes some ten thousand objects: the collector, left as it is, takes a third of these tests' time."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from . import stage  # noqa: F401  (with all that it imports)

gc.collect()
gc.freeze()
gc.set_threshold(50_000, 10, 10)


@pytest.fixture(scope="session")
def _toured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of somebody who has been offered the tour."""
    home = tmp_path_factory.mktemp("toured")
    (home / "tour-offered").touch()
    return home


@pytest.fixture(autouse=True)
def _no_home_of_ones_own(_toured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the app keeps for a person is not kept in the home of whoever runs the tests."""
    monkeypatch.setenv("CVDEBUG_HOME", str(_toured))
