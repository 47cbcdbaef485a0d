"""What the app looks like: each picture of `tests.pictures` is what is drawn now, to the last cell and colour."""

from __future__ import annotations

import difflib
import html
import re
from collections import defaultdict
from pathlib import Path

import pytest

from ..pictures import PICTURES, PROJECT, SCREENS, Picture, draw

# `make test` draws these, and CI all.
QUICK = ("hang", "hang-wide", "hang-narrow", "fix", "completed-medium")
MOST_BYTES = 2_000_000
CELL = 12.2  # the width of a character in Textual's SVG

_TEXT = re.compile(r'<text class="[\w-]+" x="([\d.]+)" y="([\d.]+)"[^>]*clip-path[^>]*>([^<]*)</text>')


def frame(svg: str) -> list[str]:
    """The text of a picture, a string each line."""
    lines: dict[float, str] = defaultdict(str)
    for x, y, text in _TEXT.findall(svg):
        lines[float(y)] = lines[float(y)].ljust(round(float(x) / CELL)) + html.unescape(text).replace("\xa0", " ")
    return [lines[y].rstrip() for y in sorted(lines)]


def difference(kept: str, drawn: str) -> str:
    """What has changed between two pictures, for a person to read."""
    lines = list(difflib.unified_diff(frame(kept), frame(drawn), "the picture", "the app", n=0, lineterm=""))
    return "\n".join(lines) or "The text is the same; colours or styles have changed."


@pytest.mark.parametrize(
    "picture",
    [pytest.param(each, id=each.name, marks=[] if each.name in QUICK else pytest.mark.slow) for each in PICTURES],
)
async def test_the_picture_is_what_the_app_draws(picture: Picture) -> None:
    drawn = await draw(picture)
    kept = picture.path.read_text() if picture.path.exists() else ""
    if drawn != kept:
        where = picture.path.relative_to(PROJECT)
        pytest.fail(f"{where} is stale: run make screenshots\n{difference(kept, drawn)}", pytrace=False)


def test_there_are_no_other_pictures() -> None:
    assert {path.name for path in (PROJECT / SCREENS).iterdir()} == {
        each.path.name for each in PICTURES if each.folder == SCREENS
    }
    assert len({each.path for each in PICTURES}) == len(PICTURES)


def test_pictures_are_small_and_show_nothing_of_the_machine_that_drew_them() -> None:
    pictures = [each.path.read_text() for each in PICTURES]
    assert sum(map(len, pictures)) < MOST_BYTES
    for text in pictures:
        assert not [name for name in (str(PROJECT), str(Path.home()), "@font-face") if name in text]


def test_a_difference_can_be_read() -> None:
    kept = next(each for each in PICTURES if each.name == "fix").path.read_text()
    assert "Fix the hang" in "\n".join(frame(kept))
    changed = kept.replace("(recommended)", "(advised)")
    told = difference(kept, changed)
    assert "-" in told
    assert any(line.startswith("+") and "serial (advised)" in line for line in told.splitlines())
    assert "colours" in difference(kept, kept.replace("#", "#0", 1))
