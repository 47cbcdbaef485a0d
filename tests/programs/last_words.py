"""A program that can be asked for its stacks by a signal.

    last_words.py FOLDER OBSERVER_PID rayon|lock|writer|unregistered

Prints `ready PID...` with its workers. `rayon`: the real deadlock of tokenizers in a forked worker. `lock`: a forked
worker with a lock that nobody will release, and a thread beside it that sleeps on another. `writer`: it is blocked in
a write. `unregistered`: the worker inherits the handler and has no file of its own.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from cvdebug.core.lastwords import register

FOLDER, OBSERVER, KIND = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.environ["TOKENIZERS_PARALLELISM"] = "true"


def stuck_in_rayon() -> None:
    TOKENIZER.encode_batch(["a b a", "b b"] * 8)


def stuck_on_a_lock() -> None:
    held = threading.Lock()
    held.acquire()
    threading.Thread(target=beside, args=(held,)).start()
    held.acquire()


def beside(lock: threading.Lock) -> None:
    lock.acquire()


def stuck_in_a_write() -> None:
    os.write(WRITE_END, b"x" * 800_000)


READ_END, WRITE_END = os.pipe()
if KIND == "rayon":
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    TOKENIZER = Tokenizer(WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    TOKENIZER.encode_batch(["a b a", "b b"] * 8)
register(FOLDER, OBSERVER)
if (pid := os.fork()) == 0:
    if KIND != "unregistered":
        register(FOLDER, OBSERVER)
    {"rayon": stuck_in_rayon, "writer": stuck_in_a_write}.get(KIND, stuck_on_a_lock)()
print("ready", pid, flush=True)
os.waitpid(pid, 0)
