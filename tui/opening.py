"""What the app can be opened on: a run that can be repeated with other settings, a tree to follow, a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..core.commands import Live
from .scene import Kind


class Opening(Protocol):
    """`open` makes the source of events and may take its time; `again` is the same with settings changed.

    `name` says in a word what is opened; only of the kind "run" can there be another one with `again`.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    def open(self) -> Live: ...

    def again(self, *, scenario: str | None = None, flags: Mapping[str, Any] = {}) -> Opening: ...
