"""Watches a tree with psutil alone: what each process and thread uses, a line when it changes.

python -m tests.bench.baseline_psutil PID SECONDS EVERY_S
"""

from __future__ import annotations

import contextlib
import sys
import time

import psutil


def look(root: psutil.Process) -> int:
    """Reads every process and thread of the tree once; how many threads there were."""
    count = 0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error), process.oneshot():
            process.status()
            process.memory_info()
            process.cpu_times()
            count += len(process.threads())
    return count


if __name__ == "__main__":
    tree, seconds, every_s = psutil.Process(int(sys.argv[1])), float(sys.argv[2]), float(sys.argv[3])
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        look(tree)
        time.sleep(max(0.0, every_s - (time.monotonic() - began_s)))
