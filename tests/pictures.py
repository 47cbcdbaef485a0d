"""Draws the pictures of the README from recorded runs: `python -m tests.pictures FOLDER`, or `make screenshots`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cvdebug.core.model import Phase
from cvdebug.core.state import RunState

from .tui.recorded import up_to
from .tui.stage import stage


class Picture(NamedTuple):
    """A moment of a recorded run, and the keys that are pressed then."""

    name: str
    recording: str
    when: Callable[[RunState], object]
    keys: Sequence[str] = ()
    size: tuple[int, int] = (120, 40)
    more: int = 0


PICTURES = (
    Picture("running", "healthy", lambda state: state.phases[Phase.EMBED].done > 500 and state.threads),
    Picture("hang", "deadlock-and-fix", lambda state: state.stuck and state.graph),
    Picture("graph", "deadlock-and-fix", lambda state: state.stuck and state.graph, keys=("g",)),
    Picture("fixed", "deadlock-and-fix", lambda state: state.finished),
    Picture("attached", "attached", lambda state: state.stuck and state.graph),
)


async def draw(picture: Picture) -> str:
    """The picture as SVG."""
    events = up_to(picture.recording, picture.when, more=picture.more)
    async with stage(events, size=picture.size, now=events[-1].at) as show:
        if picture.keys:
            await show.press(*picture.keys)
        await show.tick()
        return show.app.export_screenshot(title="cvdebug")


def without_fonts(svg: str) -> str:
    """The picture without addresses of fonts: any monospaced one will do, and a README loads nothing from elsewhere."""
    return re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        (folder / f"{picture.name}.svg").write_text(without_fonts(asyncio.run(draw(picture))))
        print(f"{picture.name}.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
