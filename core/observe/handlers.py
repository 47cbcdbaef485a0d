"""Whose a signal handler is: Python's own, set with `signal.signal`, or one in C that Python knows nothing of.

CPython keeps a table of the functions to call, one entry a signal, in the data of the interpreter. It has no symbol in
most builds, so it is found by what it looks like: nobody handles real-time signals, and all entries without a handler
name the same object. Reads only.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache

from . import memory

# Modules/signalmodule.c, 3.8 to 3.13: `struct { int tripped; PyObject *func; } [65]`.
_ENTRIES, _ENTRY_BYTES = 65, 16
# From SIGRTMIN to the last, 31 entries or more in a row: not tripped, and the same function that is not NULL.
_UNHANDLED = re.compile(rb"\0{8}(?!\0{8})(.{8})(?:\0{8}\1){30,63}", re.DOTALL)
# Neither can be handled.
_SIGKILL, _SIGSTOP = 9, 19
_MAX_BYTES = 1 << 24


def has_python_handler(pid: int, start_ticks: int, number: int) -> bool:
    """Whether a signal, for which the process has a handler, may run Python code. Yes where that cannot be read."""
    address = _table(pid, start_ticks)
    entries = _functions(memory.read_bytes(pid, address, _ENTRIES * _ENTRY_BYTES)) if address else ()
    return not _is_table(entries) or entries[number] != entries[_SIGKILL]


@lru_cache(maxsize=256)
def _table(pid: int, start_ticks: int) -> int:
    """The address of the table; 0 when it is not found. A reused PID has another start time."""
    for start, end in data_of_python(memory.maps(pid) or b""):
        if end - start <= _MAX_BYTES and (offset := find_table(memory.read_bytes(pid, start, end - start))) >= 0:
            return start + offset
    return 0


def data_of_python(maps: bytes) -> list[tuple[int, int]]:
    """(start, end) of the writable data of the interpreter, with what the file does not fill, from /proc/PID/maps."""
    found: list[tuple[int, int]] = []
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 5 or not fields[1].startswith(b"rw"):
            continue
        start, end = (int(part, 16) for part in fields[0].split(b"-"))
        name = fields[5].rpartition(b"/")[2] if len(fields) > 5 else b""
        if found and not name and found[-1][1] == start:
            found[-1] = found[-1][0], end
        elif name.startswith((b"python", b"libpython")):
            found.append((start, end))
    return found


def find_table(data: bytes) -> int:
    """Where the table begins; -1 when it is not there."""
    for run in _UNHANDLED.finditer(data):
        end = -(-run.end() // 8) * 8  # a run may begin, and so end, within the zeros at the end of an address
        first = end - _ENTRIES * _ENTRY_BYTES
        if first >= 0 and _is_table(_functions(data[first:end])):
            return first
    return -1


def _is_table(functions: tuple[int, ...]) -> bool:
    """Not so after the process has run another program: its memory is not the one in which the table was found."""
    known = len(functions) == _ENTRIES and functions[-1] != 0
    return known and functions[_SIGKILL] == functions[_SIGSTOP] == functions[-1]


def _functions(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"={len(data) // 8}Q", data)[1::2] if data else ()
