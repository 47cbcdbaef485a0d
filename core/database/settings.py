"""The embedded server's settings: for one writer who loads vectors and can load them again.

They are given on the command line, so that a data folder needs no editing and never disagrees with the program.
"""

from __future__ import annotations

import os
from pathlib import Path

_MB = 1024 * 1024
# A parallel index build puts its graph into shared memory; Docker's /dev/shm has 64 MB unless told otherwise.
_ROOMY_SHM_BYTES = 1024 * _MB


def server_settings(run: Path) -> list[str]:
    """`-c name=value` arguments for postgres. `run` is the socket's folder."""
    return [part for name, value in _settings(run).items() for part in ("-c", f"{name}={value}")]


def _settings(run: Path) -> dict[str, str]:
    workers = max(8, usable_cores() + 2)
    return {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": '"' + str(run).replace('"', '""') + '"',
        "unix_socket_permissions": "0700",
        # Nothing is replicated, and a table that is filled in the transaction that truncated it skips the log.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "2GB",
        "shared_buffers": "256MB",
        "max_connections": "50",
        "max_worker_processes": str(workers),
        "max_parallel_workers": str(workers),
        "max_parallel_maintenance_workers": str(max(1, usable_cores())),
        "dynamic_shared_memory_type": "posix" if shm_bytes() >= _ROOMY_SHM_BYTES else "mmap",
        # A backend whose client was killed ends within this time instead of at the end of its statement.
        "client_connection_check_interval": "1s",
        "update_process_title": "on",
        "track_io_timing": "off",
        "jit": "off",
        "log_checkpoints": "off",
    }


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def shm_bytes() -> int:
    """Free bytes of /dev/shm; 0 where there is none."""
    try:
        shm = os.statvfs("/dev/shm")
    except OSError:
        return 0
    return shm.f_bavail * shm.f_frsize
