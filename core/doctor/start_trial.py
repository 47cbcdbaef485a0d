"""Whether workers start by each method, with a lock between the two: `python -m cvdebug.core.doctor.start_trial`.

Prints one JSON array: the methods that there are, Python's own default, and the trouble by method.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from multiprocessing.synchronize import Lock


def work(lock: Lock) -> None:
    """What a worker does: it is there, and the lock reached it."""
    with lock:
        pass


def trouble_of(method: str) -> str:
    """Why a worker cannot be started so; empty when it can."""
    try:
        context = multiprocessing.get_context(method)
        lock = context.Lock()  # it is gone with its last name here, so it has one
        worker = context.Process(target=work, args=(lock,))  # type: ignore[attr-defined]
        worker.start()
        worker.join()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        return f"{type(error).__name__}: {error}"
    return f"its worker ended with {worker.exitcode}" if worker.exitcode else ""


def main() -> None:
    """Tries them all."""
    methods = multiprocessing.get_all_start_methods()
    trouble = {method: why for method in methods if (why := trouble_of(method))}
    sys.stdout.write(json.dumps([methods, multiprocessing.get_start_method(), trouble]))


if __name__ == "__main__":
    main()
