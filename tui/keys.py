"""Keys as people read them on their keyboard."""

from __future__ import annotations

_NAMES = {"question_mark": "?", "slash": "/", "escape": "esc", "space": "space", "up": "↑", "down": "↓", "left": "←",
          "right": "→", "pageup": "pgup", "pagedown": "pgdn", "greater_than_sign": ">", "less_than_sign": "<",
          "asterisk": "*", "plus": "+", "minus": "-"}  # fmt: skip


def cap(key: str) -> str:
    """What is printed on the key: `?` for `question_mark`, `ctrl+p` as it is, the first of several."""
    first = key.split(",")[0]
    return _NAMES.get(first, first)
