"""The themes: dark, light, and projector (high contrast). With NO_COLOR the terminal's own colours, as attributes."""

from __future__ import annotations

import os

from textual.theme import Theme

DARK = Theme(name="dark", primary="#5fafff", accent="#5fd7d7", warning="#ffaf00", error="#ff5f5f", success="#87d75f",
             background="#16181d", surface="#1c1f26", panel="#2a2f3a", foreground="#e4e4e4", dark=True)  # fmt: skip
LIGHT = Theme(name="light", primary="#005faf", accent="#00707a", warning="#9a5b00", error="#b00020", success="#2e7d32",
              background="#fbfbf8", surface="#ffffff", panel="#e3e6ea", foreground="#1c1c1c", dark=False)  # fmt: skip
PROJECTOR = Theme(name="projector", primary="#00ffff", accent="#ffff00", warning="#ffd700", error="#ff4040",
                  success="#00ff00", background="#000000", surface="#000000", panel="#303030", foreground="#ffffff",
                  dark=True)  # fmt: skip
THEMES = (DARK, LIGHT, PROJECTOR)


def first_theme() -> str:
    """The theme to begin with."""
    return "ansi-dark" if os.environ.get("NO_COLOR") else DARK.name
