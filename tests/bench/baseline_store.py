"""Storing rows without cvdebug: a bare COPY BINARY loop, and one INSERT a row in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg
from pgvector.psycopg import register_vector

TYPES = ["int8", "text", "int4", "text", "int4", "int4", "int4", "vector"]
PLAIN = """CREATE TABLE chunks (id bigint PRIMARY KEY, source text NOT NULL, ordinal int NOT NULL, text text NOT NULL,
 start_char int NOT NULL, end_char int NOT NULL, token_count int NOT NULL, embedding vector(1024) NOT NULL)"""
IN_ROW = f"{PLAIN} WITH (toast_tuple_target = 8160)"  # as cvdebug's own table is laid out


def copy(dsn: str, table: str, rows: Sequence[tuple[object, ...]]) -> float:
    """Seconds to replace what is in `table` by COPY, commit included."""
    with psycopg.connect(dsn) as connection:
        register_vector(connection)
        connection.commit()
        began = time.perf_counter()
        connection.execute(f"TRUNCATE {table}".encode())
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY, FREEZE)".encode()) as stream,
        ):
            stream.set_types(TYPES)
            for row in rows:
                stream.write_row(row)
        connection.commit()
        return time.perf_counter() - began


def insert(dsn: str, table: str, rows: Sequence[tuple[object, ...]]) -> float:
    """Seconds to replace what is in `table` by one INSERT a row, commit included."""
    with psycopg.connect(dsn) as connection:
        register_vector(connection)
        connection.commit()
        began = time.perf_counter()
        connection.execute(f"TRUNCATE {table}".encode())
        statement = f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s, %s, %s, %s)".encode()
        with connection.cursor() as cursor:
            for row in rows:
                cursor.execute(statement, row)
        connection.commit()
        return time.perf_counter() - began
