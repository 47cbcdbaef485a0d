"""Small jobs that take their time, each in a thread of its own; the loop that asked for them takes what they bring."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from .events import StacksRead


class Errands:
    """Runs jobs for one loop, which `wake` wakes when something has been brought."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._under_way: dict[int, threading.Thread] = {}
        self._brought: deque[StacksRead] = deque()

    def send(self, pid: int, job: Callable[[], StacksRead]) -> None:
        """Begins a job on a process, unless another one on it is under way. Each brings an answer, whatever happens."""
        under_way = self._under_way.get(pid)
        if under_way is None or not under_way.is_alive():
            self._under_way = {other: thread for other, thread in self._under_way.items() if thread.is_alive()}
            thread = self._under_way[pid] = threading.Thread(target=self._run, args=(pid, job), daemon=True)
            thread.start()

    def brought(self) -> Iterator[StacksRead]:
        """What has been brought since the last call."""
        while self._brought:
            yield self._brought.popleft()

    def close(self, deadline_s: float) -> None:
        """Waits for those under way, no longer than `deadline_s` for all of them."""
        end_s = time.monotonic() + deadline_s
        for thread in self._under_way.values():
            thread.join(max(0.0, end_s - time.monotonic()))

    def _run(self, pid: int, job: Callable[[], StacksRead]) -> None:
        try:
            answer = job()
        except Exception as error:  # noqa: BLE001  (a defect: who asked must hear of it, and not wait for ever)
            answer = StacksRead(pid=pid, asked=True, trouble=f"the look failed ({type(error).__name__}: {error})")
        self._brought.append(answer)
        self._wake()
