"""The real deadlock of tokenizers after a fork.

    rayon_fork.py pool|process|fork true|false|garbage|unset|late [WORKERS [TASKS]]

Prints `ready PID...` once the workers exist, and `done` when they have finished, which the deadlock prevents.
A pool with fewer tasks than workers leaves workers idle.
`late` as the value: true before the fork, and set to false by the worker before its batch.
"""

from __future__ import annotations

import multiprocessing
import os
import sys

KIND, VALUE, WORKERS = sys.argv[1], sys.argv[2], int((*sys.argv[3:], "1")[0])
TASKS = int((*sys.argv[4:], str(WORKERS))[0])
VARIABLE = "TOKENIZERS_PARALLELISM"
os.environ.pop(VARIABLE, None)
if VALUE != "unset":
    os.environ[VARIABLE] = "true" if VALUE == "late" else VALUE

from tokenizers import Tokenizer  # noqa: E402  the variable is set first
from tokenizers.models import WordLevel  # noqa: E402
from tokenizers.pre_tokenizers import Whitespace  # noqa: E402

TEXTS = ["a b a", "b b"] * 8
TOKENIZER = Tokenizer(WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
TOKENIZER.pre_tokenizer = Whitespace()


def count(_: int = 0) -> int:
    if VALUE == "late":
        os.environ[VARIABLE] = "false"
    return sum(len(encoding.ids) for encoding in TOKENIZER.encode_batch(TEXTS))


def with_pool() -> None:
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        print("ready", *(child.pid for child in multiprocessing.active_children()), flush=True)
        pool.map(count, range(TASKS), chunksize=1)


def with_processes() -> None:
    processes = [multiprocessing.get_context("fork").Process(target=count) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    print("ready", *(process.pid for process in processes), flush=True)
    for process in processes:
        process.join()


def with_fork() -> None:
    pids = []
    for _ in range(WORKERS):
        if (pid := os.fork()) == 0:
            count()
            os._exit(0)
        pids.append(pid)
    print("ready", *pids, flush=True)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    count()  # starts the pool of native threads
    {"pool": with_pool, "process": with_processes, "fork": with_fork}[KIND]()
    print("done", flush=True)
