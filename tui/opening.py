"""What the app can be opened on: a run that can be repeated with other settings, a tree to follow, a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..core.commands import Live


class Opening(Protocol):
    """`open` makes the source of events and may take its time; `again` is the same with settings changed.

    `name` says in a word what is opened. `flags` are the settings that `again` can change, empty where it cannot.
    """

    @property
    def name(self) -> str: ...

    @property
    def repeatable(self) -> bool: ...

    def open(self) -> Live: ...

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> Opening: ...
