"""The README says what the app is: its keys are those of the registry, and its pictures are there."""

from __future__ import annotations

import re
from pathlib import Path

from cvdebug.tui.actions import ACTIONS
from cvdebug.tui.keys import cap

README = Path(__file__).parents[2] / "README.md"
_KEYS = re.compile(r"<!-- keys:.*?-->\n(.*?)<!-- end of keys -->", re.DOTALL)


def table() -> str:
    """The table of keys as it should stand in the README."""
    rows = (f"| `{cap(action.key)}` | {action.verb}. {action.says} |" for action in ACTIONS)
    return "\n".join(["| key | does |", "|---|---|", *rows, ""])


def test_the_keys_of_the_readme_are_those_of_the_app() -> None:
    found = _KEYS.search(README.read_text())
    assert found is not None
    assert found[1] == table()


def test_every_picture_of_the_readme_is_there() -> None:
    pictures = re.findall(r"\]\((docs/[\w.-]+)\)", README.read_text())
    assert len(pictures) >= 5
    for picture in pictures:
        assert (README.parent / picture).read_text().startswith("<svg")
