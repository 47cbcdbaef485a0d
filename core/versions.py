"""The versions that a run depends on, read from package metadata: nothing heavy is imported for it."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = ("cvdebug", "tokenizers", "psycopg", "pgvector", "py-spy", "numpy")


def version(package: str) -> str:
    """The installed version of a package, or `not installed`."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """Python and the packages by name."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
