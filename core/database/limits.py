"""What a server allows for an index build, read from it."""

from __future__ import annotations

import psycopg

from .connection import Connection, translate
from .index import ServerLimits
from .settings import shm_bytes

_NAMES = ("max_worker_processes", "max_parallel_workers", "maintenance_work_mem", "dynamic_shared_memory_type")


def server_limits(connection: Connection, *, on_this_machine: bool) -> ServerLimits:
    """The server's limits; with `on_this_machine` the room in /dev/shm counts where the server uses it."""
    try:
        rows = connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(_NAMES),)
        ).fetchall()
        if not connection.autocommit:
            connection.commit()
    except psycopg.Error as error:
        raise translate(error) from error
    found = {str(name): str(setting) for name, setting in rows}
    in_shm = on_this_machine and found.get("dynamic_shared_memory_type") == "posix"
    return ServerLimits(
        max_worker_processes=int(found["max_worker_processes"]),
        max_parallel_workers=int(found["max_parallel_workers"]),
        maintenance_work_mem_mb=max(1, int(found["maintenance_work_mem"]) // 1024),  # pg_settings has it in kB
        shared_memory_bytes=shm_bytes() if in_shm else None,
    )
