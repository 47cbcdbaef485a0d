"""Asks before native frames are read: what that shows, and what it costs the process."""

from __future__ import annotations

from ...core.seen import ProcessSeen
from ..widgets.prose import Paragraph
from .confirm import ConfirmScreen


class NativeScreen(ConfirmScreen):
    """Enter reads them, Escape leaves the process alone."""

    def __init__(self, process: ProcessSeen) -> None:
        role = f" ({process.role})" if process.role else ""
        who = f"PID {process.pid}{role}"
        cost = (
            "It stops the process for some milliseconds. While one of its threads writes it is refused, as the stop"
            " could cut that short."
        )
        shows = f"Shows the calls inside of native libraries too, for every thread of {who} that has Python frames."
        super().__init__("Read native frames?", (Paragraph(shows), Paragraph(cost, "warn", "! ")), yes="read them")
