"""Follows a tree as `attach` does, and prints nothing: python -m tests.bench.follower PID SECONDS EVERY_S"""

from __future__ import annotations

import sys
import time

from cvdebug.core.diagnose.follow import Follower

if __name__ == "__main__":
    follower, seconds, every_s = Follower(int(sys.argv[1])), float(sys.argv[2]), float(sys.argv[3])
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.monotonic()
        follower.look()
        time.sleep(max(0.0, every_s - (time.monotonic() - began_s)))
