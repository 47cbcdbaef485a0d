"""The live value of an environment variable of another process.

/proc/PID/environ is the copy made at exec: what the program set since is not in it. The live table is found through the
symbol `environ`, in the executable when it defines one (a copy relocation), else in the C library, and read from
/proc/PID/mem. Reads only, and does not stop the process.
"""

from __future__ import annotations

import os
import re
import struct
from typing import NamedTuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.hash import ELFHashSection, GNUHashSection
from elftools.elf.sections import SymbolTableSection

from ..errors import ObserveError

_C_LIBRARY = re.compile(r"/(libc[.-][^/]*|ld-musl-[^/]*)$")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAX_VARIABLES = 10_000
_MAX_VALUE_BYTES = 131_072  # MAX_ARG_STRLEN: the kernel's own limit at exec


class Mapping(NamedTuple):
    """The first mapping of a file in a process's address space."""

    start: int
    offset: int
    path: str


class Symbol(NamedTuple):
    """Where an object file keeps `environ`: the symbol's value, and the address that the file wants at offset 0."""

    value: int
    origin: int
    relocatable: bool


_symbols: dict[tuple[int, int, int], Symbol | None] = {}


def live_variable(pid: int, name: str, *, or_at_exec: bool = False) -> str | None:
    """The value that getenv() would give in the process now; None when it is not set.

    With `or_at_exec` the copy made at exec is the answer where the live one cannot be read: it may be out of date.
    Raises ObserveError when neither can be read.
    """
    try:
        return _live(pid, name)
    except ObserveError:
        if not or_at_exec:
            raise
        return _at_exec(pid, name)


def uses_musl(pid: int) -> bool:
    """Whether the process runs on the musl C library."""
    return any("/ld-musl-" in mapping.path for mapping in _mappings(pid))


def parse_maps(text: str) -> list[Mapping]:
    """The lowest mapping of every file in /proc/PID/maps, in the order of addresses."""
    first: dict[str, Mapping] = {}
    for line in text.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6 or not fields[5].startswith("/"):
            continue
        try:
            start, offset = int(fields[0].partition("-")[0], 16), int(fields[2], 16)
        except ValueError:
            continue
        first.setdefault(fields[5], Mapping(start, offset, fields[5]))
    return list(first.values())


def _live(pid: int, name: str) -> str | None:
    pointer = _pointer_address(pid)
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(pid, error.strerror) from error
    try:
        return _find(memory, pointer, name)
    except OSError as error:
        raise _unreadable(pid, error.strerror) from error
    finally:
        os.close(memory)


def _at_exec(pid: int, name: str) -> str | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError as error:
        raise _unreadable(pid, error.strerror) from error
    wanted = name.encode() + b"="
    return next((_text(item[len(wanted) :]) for item in variables if item.startswith(wanted)), None)


def _unreadable(pid: int, why: str | None) -> ObserveError:
    return ObserveError(
        f"the live environment of process {pid} cannot be read: {why}",
        hint="It takes the same user and the right to trace: see `--cap-add SYS_PTRACE` for containers.",
    )


def _pointer_address(pid: int) -> int:
    """The address of the variable `environ` in the process."""
    mappings = _mappings(pid)
    try:
        executable = os.readlink(f"/proc/{pid}/exe")
    except OSError as error:
        raise _unreadable(pid, error.strerror) from error
    for mapping in mappings:
        if mapping.path == executable:
            if symbol := _symbol(f"/proc/{pid}/exe"):
                return _address(symbol, mapping)
            break
    for mapping in mappings:
        if _C_LIBRARY.search(mapping.path) and (symbol := _symbol(f"/proc/{pid}/root{mapping.path}")):
            return _address(symbol, mapping)
    raise _unreadable(pid, "no symbol `environ` in its executable or C library")


def _address(symbol: Symbol, mapping: Mapping) -> int:
    if not symbol.relocatable:
        return symbol.value
    return mapping.start - mapping.offset - symbol.origin + symbol.value


def _mappings(pid: int) -> list[Mapping]:
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            return parse_maps(file.read())
    except OSError:
        return []


def _symbol(path: str) -> Symbol | None:
    """`environ` of an object file, kept for each (device, inode, mtime): parsing takes 10 ms."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            key = status.st_dev, status.st_ino, status.st_mtime_ns
            if key not in _symbols:
                _symbols[key] = _parse_symbol(ELFFile(file))
            return _symbols[key]
    except (OSError, ELFError, ValueError, KeyError):
        return None


def _parse_symbol(elf: ELFFile) -> Symbol | None:
    if elf.elfclass != 64 or not elf.little_endian:
        return None
    value = _dynamic_value(elf)
    if value is None and not any(segment["p_type"] == "PT_INTERP" for segment in elf.iter_segments()):
        value = _table_value(elf.get_section_by_name(".symtab"))  # a static executable exports nothing
    if value is None:
        return None
    loaded = next(segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD")
    origin = loaded["p_vaddr"] - loaded["p_offset"]
    return Symbol(value, origin - origin % _PAGE_BYTES, elf["e_type"] == "ET_DYN")


def _dynamic_value(elf: ELFFile) -> int | None:
    """Through the hash table, where there is one: a walk over all symbols of libc takes 100 ms."""
    table = elf.get_section_by_name(".dynsym")
    if not isinstance(table, SymbolTableSection):
        return None
    for section in (".gnu.hash", ".hash"):
        hashed = elf.get_section_by_name(section)
        if isinstance(hashed, GNUHashSection | ELFHashSection):
            return _defined(hashed.get_symbol("environ"))
    return _table_value(table)


def _table_value(table: object) -> int | None:
    if not isinstance(table, SymbolTableSection):
        return None
    symbols = table.get_symbol_by_name("environ") or []
    return next((value for symbol in symbols if (value := _defined(symbol)) is not None), None)


def _defined(symbol: object) -> int | None:
    """The value of a symbol that is defined here, not only used."""
    if symbol is None or symbol["st_shndx"] == "SHN_UNDEF":  # type: ignore[index]
        return None
    return int(symbol["st_value"])  # type: ignore[index]


def _find(memory: int, pointer: int, name: str) -> str | None:
    """Follows `environ` and returns the first entry of this name, as getenv() does."""
    wanted = name.encode() + b"="
    (table,) = struct.unpack("<Q", _exactly(memory, pointer, 8))
    for index in range(_MAX_VARIABLES if table else 0):
        (entry,) = struct.unpack("<Q", _exactly(memory, table + 8 * index, 8))
        if not entry:
            return None
        if os.pread(memory, len(wanted), entry) == wanted:
            return _text(_string(memory, entry + len(wanted)))
    return None


def _exactly(memory: int, address: int, size: int) -> bytes:
    data = os.pread(memory, size, address)
    if len(data) != size:
        raise OSError(0, "its memory changed while it was read")
    return data


def _string(memory: int, address: int) -> bytes:
    """Bytes up to the NUL, read page by page: what lies behind the last page may not be mapped."""
    found = b""
    while b"\0" not in found and len(found) < _MAX_VALUE_BYTES:
        step = _PAGE_BYTES - (address + len(found)) % _PAGE_BYTES
        piece = os.pread(memory, step, address + len(found))
        if not piece:
            break
        found += piece
    return found.partition(b"\0")[0]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
