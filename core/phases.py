"""How far one phase of a run is, folded from what is said of it. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from .events import Failed, PhaseFinished, PhaseProgress, PhaseStarted

PhaseStatus = Literal["waiting", "running", "done", "kept", "failed"]
PhaseEvent = PhaseStarted | PhaseProgress | PhaseFinished | Failed


class PhaseState(msgspec.Struct, frozen=True, kw_only=True):
    """One phase. `total` 0 means not known yet; times are seconds since the epoch, 0 before they happen."""

    status: PhaseStatus = "waiting"
    done: int = 0
    total: int = 0
    found: int = 0  # what was done before this attempt began: not part of the rate
    unit: str = ""
    detail: str = ""
    started_at: float = 0.0
    moved_at: float = 0.0
    ended_at: float = 0.0

    def elapsed_s(self, now: float) -> float:
        """Seconds from its start to its end, or to `now` (seconds since the epoch) while it runs."""
        if not self.started_at:
            return 0.0
        return max(0.0, (self.ended_at or now) - self.started_at)

    @property
    def rate(self) -> float:
        """Units per second from the start to the last movement; 0 while unknown."""
        span_s = (self.ended_at or self.moved_at) - self.started_at
        return max(0, self.done - self.found) / span_s if span_s > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this rate; None while nothing can be said."""
        if self.status != "running" or not self.total or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate


def after(before: PhaseState, event: PhaseEvent) -> PhaseState:
    """The phase after an event that is about it."""
    match event:
        case PhaseStarted():
            return PhaseState(
                status="running",
                done=event.done,
                found=event.done,
                total=event.total,
                unit=event.unit,
                detail=event.detail,
                started_at=event.at,
                moved_at=event.at,
            )
        case PhaseProgress():
            return msgspec.structs.replace(
                before,
                done=event.done,
                total=event.total or before.total,
                detail=event.detail or before.detail,
                moved_at=event.at,
            )
        case PhaseFinished():
            return msgspec.structs.replace(
                before,
                status="kept" if event.kept else "done",
                done=event.done,
                total=event.total,
                detail=event.detail or before.detail,
                started_at=before.started_at or event.at,
                moved_at=event.at,
                ended_at=event.at,
            )
        case Failed():
            return msgspec.structs.replace(before, status="failed", ended_at=event.at)
