"""Words and numbers for people. Foreign strings are cleaned here before a terminal sees them."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: str) -> str:
    """One line without control characters, escape sequences or direction marks: each becomes U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub("\ufffd", text.expandtabs(4))


def seconds(value_s: float) -> str:
    """A duration as people say it."""
    if 0 < value_s < 0.1:
        return f"{value_s * 1000:.0f} ms"
    if value_s < 10:
        return f"{value_s:.1f} s"
    if value_s < 100:
        return f"{value_s:.0f} s"
    minutes, rest = divmod(int(value_s), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def counted(number: int, what: str) -> str:
    """So many of something: `1 process`, `1,000 threads`."""
    many = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number:,} {what if number == 1 else many}"


def rate(per_second: float) -> str:
    """A rate with three digits at most."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if per_second >= size:
            return f"{per_second / size:.3g}{unit}/s"
    return f"{per_second:.3g}/s"


def size(count: float) -> str:
    """Bytes as people say them."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def shortened(text: str, width: int) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
