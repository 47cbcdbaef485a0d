"""Who holds a semaphore of `multiprocessing`: what each process's own object says. Reads memory, stops nothing.

A POSIX semaphore keeps a number and no owner. But CPython's SemLock object counts, in every process, how often that
process took it and did not give it back (Modules/_multiprocessing/semaphore.c; the same layout in 3.8 to 3.13). It is
found by the address of the semaphore, which it keeps, and known by the name of its type. Free-threaded and debug builds
lay objects out in another way: there nothing is found, and nothing is said.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterable, Iterator

import msgspec

from . import memory

# refcount, type, handle, thread, count, largest value, kind
_OBJECT = struct.Struct("<qQQQiii")
_HANDLE_AT = 16
_TYPE_NAME_AT = 24  # of PyTypeObject: behind the head of an object of variable size
_TYPE_NAME = b"_multiprocessing.SemLock\0"
_KINDS = (0, 1)  # RLock; Lock and Semaphore
_MAX_REFERENCES = 1 << 30
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_IN_USE = 3 << 62  # in memory, or swapped out (Documentation/admin-guide/mm/pagemap.rst)
_TELLING = slice(1, 6)  # of an address, lowest byte first
_CHUNK_BYTES = 8 << 20
_MAX_BYTES = 512 << 20  # of one process: more would take more than half a second


class Semaphore(msgspec.Struct, frozen=True, kw_only=True):
    """A semaphore of shared memory. `taken` is by PID how often a living process that maps it has taken it without
    giving it back; None where that could not be read. `largest` is its largest value: 1 for a lock."""

    path: str
    largest: int
    taken: dict[int, int | None]

    @property
    def is_lock(self) -> bool:
        """Whether one owner at a time may have it."""
        return self.largest == 1

    @property
    def has_no_owner(self) -> bool:
        """Whether every process that could hold it was read, and none does."""
        return bool(self.taken) and all(count == 0 for count in self.taken.values())


def read(pid: int, address: int, pids: Iterable[int]) -> Semaphore | None:
    """The semaphore that a thread of `pid` waits for at `address`, and `pids` map; None when it is not one of
    multiprocessing's, or cannot be read. A few milliseconds for each 10 MB of a process's memory."""
    region = memory.region(memory.maps(pid) or b"", address)
    if region is None or not region.shared:
        return None
    taken: dict[int, int | None] = {}
    largest = 0
    for mapper in pids:
        objects = list(_objects(mapper, region.token))
        taken[mapper] = _net([count for count, _ in objects])
        largest = max([largest, *(value for _, value in objects)])
    return Semaphore(path=region.path, largest=largest, taken=taken) if largest else None


def _net(counts: list[int]) -> int | None:
    """One number for the objects of a process: 0 only when each is 0."""
    return next((count for count in counts if count), 0) if counts else None


def _objects(pid: int, token: bytes) -> Iterator[tuple[int, int]]:
    """(count, largest value) of each SemLock of a process on this memory."""
    ranges = list(_ranges(memory.maps(pid) or b""))
    handles = [low for low, _, line in ranges if token in line]
    private = [(low, high) for low, high, line in ranges if _may_hold_objects(line)] if handles else []
    searched = list(_in_use(pid, private))
    if sum(high - low for low, high in searched) > _MAX_BYTES:
        return
    try:
        file = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for place in _places(file, searched, [handle.to_bytes(8, "little") for handle in handles]):
            if (found := _object(file, place - _HANDLE_AT)) is not None:
                yield found
    finally:
        os.close(file)


def _ranges(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    for line in text.splitlines():
        low, _, high = line.partition(b" ")[0].partition(b"-")
        try:
            yield int(low, 16), int(high, 16), line
        except ValueError:
            continue


def _may_hold_objects(line: bytes) -> bool:
    """Whether a mapping is private and writable memory of no file: the heap and the arenas of objects."""
    fields = line.split(None, 5)
    nameless = len(fields) == 5 or fields[5].startswith((b"[heap]", b"[anon"))
    return len(fields) >= 5 and fields[1].startswith(b"rw") and fields[1].endswith(b"p") and nameless


def _in_use(pid: int, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The parts of mappings that were ever written. To read the others would make the kernel fill in pages."""
    try:
        file = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for low, high in ranges:
            pages = array("Q")
            data = _pread(file, (high - low) // _PAGE_BYTES * pages.itemsize, low // _PAGE_BYTES * pages.itemsize)
            pages.frombytes(data[: len(data) // pages.itemsize * pages.itemsize])
            used = [low + number * _PAGE_BYTES for number, entry in enumerate(pages) if entry & _IN_USE]
            yield from _runs(used)
    finally:
        os.close(file)


def _runs(pages: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring pages drawn together."""
    start = end = 0
    for page in pages:
        if page != end and end:
            yield start, end
        if page != end:
            start = page
        end = page + _PAGE_BYTES
    if end:
        yield start, end


def _places(file: int, ranges: Iterable[tuple[int, int]], patterns: list[bytes]) -> Iterator[int]:
    """The aligned addresses at which one of the patterns stands."""
    for low, high in ranges:
        for start in range(low, high, _CHUNK_BYTES):
            data = _pread(file, min(_CHUNK_BYTES, high - start), start)
            for pattern in patterns:
                # Pages begin at zeros, and so do most words of memory: the bytes that tell are searched first.
                found = data.find(pattern[_TELLING])
                while found >= 0:
                    place = found - _TELLING.start
                    if place % 8 == 0 and data.startswith(pattern, place):
                        yield start + place
                    found = data.find(pattern[_TELLING], found + 1)


def _object(file: int, address: int) -> tuple[int, int] | None:
    data = _pread(file, _OBJECT.size, address)
    if len(data) < _OBJECT.size:
        return None
    references, kind_of_object, _, _, count, largest, kind = _OBJECT.unpack(data)
    if not (0 < references < _MAX_REFERENCES and kind in _KINDS and largest > 0):
        return None
    name = int.from_bytes(_pread(file, 8, kind_of_object + _TYPE_NAME_AT), "little")
    return (count, largest) if _pread(file, len(_TYPE_NAME), name) == _TYPE_NAME else None


def _pread(file: int, size: int, address: int) -> bytes:
    try:
        return os.pread(file, size, address)
    except (OSError, OverflowError):
        return b""
