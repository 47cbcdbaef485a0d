"""A child in one raw write of 800,000 bytes to a pipe that is full, and a parent that reads nothing.

    writer.py reads|waits

`reads`: the parent reads everything at the end of its input, and prints how many bytes came and what the child said of
its write. `waits`: it waits for the child's end instead, so that both are dead.
Prints `ready CHILD READER`, the child and the descriptor of the pipe's read end in the parent.
"""

from __future__ import annotations

import os
import sys

SIZE = 800_000

if __name__ == "__main__":
    reader, writer = os.pipe()
    heard, said = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        written = os.write(writer, b"x" * SIZE)
        os.write(said, f"{written}".encode())
        os._exit(0)
    os.close(writer)
    os.close(said)
    print("ready", child, reader, flush=True)
    if sys.argv[1] == "waits":
        os.waitpid(child, 0)
    sys.stdin.read()
    count = 0
    while data := os.read(reader, 1 << 16):
        count += len(data)
    print(count, os.read(heard, 100).decode(), flush=True)
