"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _no_config_file_of_ones_own() -> Iterator[None]:
    """Nobody's config file changes what the tests see, in this process or in those that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", "/nonexistent")
        yield
