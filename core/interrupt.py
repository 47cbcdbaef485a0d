"""Ends another thread's wait, as Ctrl-C would end the main thread's."""

from __future__ import annotations

import ctypes


def interrupt(thread_id: int) -> None:
    """Raises KeyboardInterrupt in the Python thread of that identity (`threading.get_ident`), at its next line.

    A wait inside a C function has to come back first: what is to be interrupted waits in short turns.
    """
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc  # https://docs.python.org/3/c-api/init.html
    raise_in(ctypes.c_ulong(thread_id), ctypes.py_object(KeyboardInterrupt))
