"""The Verdict panel: the cause of a hang with its evidence, each line a way to what it speaks of."""

from __future__ import annotations

from collections.abc import Sequence

from ..drawing.lines import Line
from ..drawing.verdict_lines import Told, laid_out, told
from ..scene import Scene
from .linked import Linked


class VerdictView(Linked):
    """The most certain verdict in full, the others in a line each."""

    BORDER_TITLE = "Verdict"
    HELP = (
        "What hangs, how sure that is, the evidence, and the ways out. The arrow keys stop at lines that lead to a"
        " process, a thread or a database session; Enter goes there, and again to the next one that the line names."
    )

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._opened = ""
        self._drawn: tuple[Told, int] | None = None
        self._lines_drawn: Sequence[Line] = ()

    @property
    def slug(self) -> str:
        """The verdict that is shown in full, "" for none."""
        return self._drawn[0].found[0].slug if self._drawn and self._drawn[0].found else ""

    def laid_out(self, scene: Scene, width: int) -> Sequence[Line]:
        wanted = told(scene, self._opened), width
        if wanted != self._drawn:
            self._drawn, self._lines_drawn = wanted, laid_out(*wanted)
        return self._lines_drawn

    def lay_out(self) -> None:
        before = self._subject
        super().lay_out()
        if self._subject != before:
            self.to_top()

    @property
    def _subject(self) -> tuple[str, str]:
        """Which verdict is told, and what became of it: of another one the beginning is to be seen."""
        return (self.slug, self._drawn[0].after[0]) if self._drawn else ("", "")

    def open_page(self, slug: str) -> None:
        self._opened = slug
        self.lay_out()
        self.to_top()
