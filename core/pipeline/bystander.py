"""Another session of the database, which reads the table and forgets to end its transaction: a scenario's culprit.

    python -P -m cvdebug.core.pipeline.bystander  < one line of JSON, then nothing until the end

It says `ready` on standard output once its transaction is open, and ends when its standard input does: with whoever
started it, however that ends.
"""

from __future__ import annotations

import os
import sys

import msgspec
import psycopg
from psycopg import sql

from ..database import table as tables
from ..database.connection import connect
from ..database.index import Storage
from ..errors import CvdebugError, ExitCode

ROLE = "report"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Which table to read, and of which run it is a part. `dsn` may hold a password."""

    run: str
    dsn: str
    table: str
    storage: Storage


def main() -> int:
    """Holds the transaction open until standard input ends; the exit code."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    table = tables.TableName.parse(order.table)
    try:
        with connect(order.dsn, run=order.run, role="check") as connection:
            tables.check(connection, table, storage=order.storage)
            tables.create(connection, table, storage=order.storage)
        connection = connect(order.dsn, run=order.run, role=ROLE)
        connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table.identifier))
    except (CvdebugError, psycopg.Error) as error:
        sys.stdout.write(f"{error}\n")
        return ExitCode.FAILED
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    connection.close()
    return ExitCode.COMPLETED


if __name__ == "__main__":
    sys.exit(main())
