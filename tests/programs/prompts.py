"""Programs that ask a question on their standard input, and programs that only read it.

    prompts.py KIND

Prints `ready`, and then reads.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable


def question() -> None:
    input("Delete 400 vectors? [y/N] ")


def helper() -> None:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    answer = input("Continue? ")
    print(answer)


def click() -> None:
    import click

    click.confirm("Go on?")


def rich() -> None:
    from rich.prompt import Prompt

    Prompt.ask("Name")


def line_filter() -> None:
    for line in sys.stdin:
        print(line.upper())


def server() -> None:
    while True:
        print(sys.stdin.readline())


def commands() -> None:
    while True:
        print(input())


def read_all() -> None:
    print(len(sys.stdin.read()))


def enter() -> None:
    """Works until somebody ends it."""
    input("Press Enter to stop ")


def served() -> None:
    """A thread serves while the main thread keeps the program."""
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=server.accept, daemon=True).start()
    input("Serving. ")


KINDS: dict[str, Callable[[], None]] = {
    "question": question,
    "helper": helper,
    "click": click,
    "rich": rich,
    "filter": line_filter,
    "server": server,
    "commands": commands,
    "read-all": read_all,
    "enter": enter,
    "served": served,
}

if __name__ == "__main__":
    print("ready", flush=True)
    KINDS[sys.argv[1]]()
