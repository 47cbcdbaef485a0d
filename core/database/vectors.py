"""float32 arrays to pgvector's binary form, faster than through pgvector's own Vector.

The form (vector_send in vector.c, halfvec_send in halfvec.c): int16 dimension, int16 zero, then the components, all
big-endian.
"""

from __future__ import annotations

import struct
from functools import cache

import numpy as np
import numpy.typing as npt
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo

from ..errors import DatabaseError
from .connection import Connection


@cache
def _header(dimensions: int) -> bytes:
    return struct.pack(">HH", dimensions, 0)


class _VectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: npt.NDArray[np.float32]) -> Buffer:
        return _header(obj.shape[0]) + obj.astype(">f4").tobytes()


class _HalfvecDumper(Dumper):
    """Rounds to the nearest float16: of a component of a unit vector at most 0.05 % is lost."""

    format = Format.BINARY

    def dump(self, obj: npt.NDArray[np.float32]) -> Buffer:
        return _header(obj.shape[0]) + obj.astype(">f2").tobytes()


def fast_vectors(connection: Connection) -> None:
    """Sends 1-D float arrays in binary, and only so: as vector, and in a COPY into a halfvec as that.

    Call it after `prepare_vectors`, outside a transaction.
    """
    # The last one is what an array becomes where no type is asked for.
    for name, dumper in (("halfvec", _HalfvecDumper), ("vector", _VectorDumper)):
        info = TypeInfo.fetch(connection, name)
        if info is not None:  # pgvector has halfvec since 0.7
            connection.adapters.register_dumper(np.ndarray, type("_", (dumper,), {"oid": info.oid}))
        elif name == "vector":
            raise DatabaseError("The database has no extension vector")
    if not connection.autocommit:
        connection.commit()
