"""The README says what the app is: its keys are those of the registry, and its pictures are there."""

from __future__ import annotations

import re
from pathlib import Path

from cvdebug.core import scenario
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


def test_every_scenario_of_the_readme_ends_as_its_file_says() -> None:
    section = README.read_text().partition("\n## Scenarios\n")[2].partition("\n## ")[0]
    rows = {found[1]: found[2] for found in re.finditer(r"^\| `([\w-]+)`[^|]*\| ([^|]+) \|", section, re.MULTILINE)}
    assert sorted(rows) == sorted(scenario.names())
    for name, row in rows.items():
        ends = {end.exit_code for end in scenario.load(name).expect}
        assert {int(code) for code in re.findall(r"\b[0-9]\b", row)} == ends, name
        for flag in re.findall(r"`(--[^`]+)`", row):
            assert any(flag in end.asked for end in scenario.load(name).expect), (name, flag)


def test_every_picture_of_the_readme_is_there() -> None:
    pictures = re.findall(r"\]\((docs/[\w.-]+)\)", README.read_text())
    assert len(pictures) >= 5
    for picture in pictures:
        assert (README.parent / picture).read_text().startswith("<svg")
