"""The least that Textual can show: a title, a line and a footer. python -m tests.bench.minimal_app"""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Footer, Header, Static


class Minimal(App[None]):
    """Quits at q."""

    BINDINGS = [("q", "quit", "quit")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield Header()
        yield Static("the least of apps")
        yield Footer()


if __name__ == "__main__":
    Minimal().run()
