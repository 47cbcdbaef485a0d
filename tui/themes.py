"""The themes: dark, light, projector (high contrast, nothing dim), and ansi, which uses the terminal's own colours.

Every colour of a text is said here outright, so that a test can measure its contrast.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.theme import BUILTIN_THEMES, Theme


class Palette(NamedTuple):
    """The colours of a theme: texts first, then what lies below them."""

    text: str
    dim: str
    bad: str
    good: str
    warn: str
    accent: str
    primary: str
    background: str
    line: str  # of the titles, and behind the row under a cursor that has not the keys

    def theme(self, name: str, *, dark: bool) -> Theme:
        return Theme(
            name=name, dark=dark, primary=self.primary, secondary=self.primary, accent=self.accent,
            warning=self.warn, error=self.bad, success=self.good, foreground=self.text,
            background=self.background, surface=self.background, panel=self.line,
            variables={
                "text": self.text, "text-muted": self.dim, "text-disabled": self.dim, "foreground-muted": self.dim,
                "text-primary": self.primary, "text-error": self.bad, "text-success": self.good,
                "text-warning": self.warn, "text-accent": self.accent,
                "surface-lighten-2": self.line,
                "block-cursor-background": self.primary, "block-cursor-foreground": self.background,
                "footer-key-foreground": self.primary,
            },
        )  # fmt: skip


PALETTES = {
    "dark": Palette(text="#e4e4e4", dim="#9aa2b1", bad="#ff7b7b", good="#8fdc6f", warn="#ffc14d", accent="#5fd7d7",
                    primary="#6cb6ff", background="#14161b", line="#2f3542"),
    "light": Palette(text="#1c1c1c", dim="#555b66", bad="#b00020", good="#1e6b22", warn="#7a4a00", accent="#00616a",
                     primary="#004f9e", background="#fbfbf8", line="#dfe3e8"),
    "projector": Palette(text="#ffffff", dim="#ffffff", bad="#ff8080", good="#5cff5c", warn="#ffe04a",
                         accent="#7af5ff", primary="#7af5ff", background="#000000", line="#3a3a3a"),
}  # fmt: skip

# The state under the cursor is said by an attribute, which is there without any colour too.
ANSI = Theme(
    name="ansi", ansi=True, dark=True,
    primary="ansi_blue", secondary="ansi_cyan", warning="ansi_yellow", error="ansi_red", success="ansi_green",
    accent="ansi_cyan", foreground="ansi_default", background="ansi_default", surface="ansi_default",
    panel="ansi_default", boost="ansi_default",
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "text-muted": "ansi_default", "text-disabled": "ansi_default", "foreground-muted": "ansi_default",
        "block-cursor-foreground": "ansi_default", "block-cursor-background": "ansi_default",
        "block-cursor-text-style": "bold reverse",
    },
)  # fmt: skip

THEMES = (*(palette.theme(name, dark=name != "light") for name, palette in PALETTES.items()), ANSI)
PROJECTOR = "projector"


def first_theme(*, no_color: bool = False) -> str:
    """The theme to begin with."""
    return ANSI.name if no_color else THEMES[0].name


def next_theme(name: str) -> str:
    """The theme after that one."""
    names = [theme.name for theme in THEMES]
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]
