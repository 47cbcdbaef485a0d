"""Measures what a way to fix a run costs, while the run's loop goes on: a short sample in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from . import launch
from .events import Price
from .model import Strategy
from .pipeline.spec import SubjectSpec


class Pricing:
    """The prices that were measured for one run, without numbers where that failed.

    One is measured at a time: a new wish ends the one before.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called, in another thread, when something has been measured."""
        self.known: dict[Strategy, Price] = {}
        self._wake = wake
        self._thread: threading.Thread | None = None
        self._stop_fd = -1
        self._measured: Price | None = None

    def measure(self, spec: SubjectSpec) -> None:
        """Begins to measure the price of `spec.strategy`."""
        self.stop()
        stop_read, self._stop_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, args=(spec, stop_read), daemon=True, name="price")
        self._thread.start()

    def take(self) -> Price | None:
        """What has been measured since the last call."""
        price, self._measured = self._measured, None
        if price is not None:
            self.note(price)
        return price

    def note(self, price: Price) -> None:
        """Takes in a price that was measured elsewhere."""
        self.known[price.strategy] = price

    def forget(self) -> None:
        """The run goes on otherwise: what was measured holds no more."""
        self.stop()
        self.known = {}

    def stop(self) -> None:
        """Ends what is under way, and waits until nothing of it is left: some milliseconds."""
        if self._thread is not None:
            with contextlib.suppress(OSError):
                os.write(self._stop_fd, b".")
            self._thread.join()
            os.close(self._stop_fd)
            self._thread, self._measured = None, None

    def _run(self, spec: SubjectSpec, stop_read: int) -> None:
        try:
            self._measured = launch.measure_price(spec, stop_read)
        except OSError:
            assert spec.strategy is not None
            self._measured = Price(strategy=spec.strategy)
        finally:
            os.close(stop_read)
        self._wake()
