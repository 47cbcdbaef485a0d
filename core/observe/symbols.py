"""Readable names for the symbols of Rust and C++ libraries.

Symbols are foreign data: an odd one, however long or deep, is given back as it stands, and never raises.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache

from rust_demangler import demangle

# A legacy Rust symbol is a C++ name that ends in a hash; the compiler may add more behind a dot.
_RUST = re.compile(r"_R.*|_ZN.*17h[0-9a-f]{16}E(\..*)?")
# A name may refer to its own parts, so that a short one can stand for gigabytes: threefold for every three references.
_REFERENCE = re.compile(r"S[0-9A-Z]*_|T[0-9]*_|B[0-9a-zA-Z]*_")
_REFERENCES = 36
_LENGTH = 2000
# C++ runtimes, one of which is there wherever a C++ library runs; their demangler is part of the C++ ABI.
_RUNTIMES = ("libstdc++.so.6", "libc++abi.so.1", "libc++abi.dylib")


def readable_name(symbol: str) -> str:
    """A Rust symbol (legacy or v0) or a C++ one (Itanium ABI) as it was written; anything else as it stands."""
    if not symbol.startswith(("_R", "_Z")) or len(symbol) > _LENGTH or not symbol.isascii():
        return symbol
    if len(_REFERENCE.findall(symbol)) > _REFERENCES:
        return symbol
    return (_rust(symbol) if _RUST.fullmatch(symbol) else _cxx(symbol)) or symbol


def _rust(symbol: str) -> str:
    try:
        return str(demangle(symbol))
    except Exception:  # noqa: BLE001  the package raises whatever its parser trips over
        return ""


def _cxx(symbol: str) -> str:
    """Empty when it is no C++ symbol, or when there is no C++ runtime."""
    library = _runtime()
    if library is None or "\0" in symbol:
        return ""
    status = ctypes.c_int(-1)
    text = library.__cxa_demangle(symbol.encode(), None, None, ctypes.byref(status))
    if not text:
        return ""
    try:
        return (ctypes.string_at(text) if status.value == 0 else b"").decode("utf-8", "replace")
    finally:
        ctypes.CDLL(None).free(ctypes.c_void_p(text))


@cache
def _runtime() -> ctypes.CDLL | None:
    for name in _RUNTIMES:
        try:
            library = ctypes.CDLL(name)
            library.__cxa_demangle.restype = ctypes.c_void_p
        except (OSError, AttributeError):
            continue
        return library
    return None
