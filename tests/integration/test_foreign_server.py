"""A PostgreSQL of the user's own: either the load is right, or it is refused with the statement that mends it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import trustme
from cvdebug.core.database.connection import connect
from cvdebug.core.database.load import load_with_retry
from cvdebug.core.database.table import Marker, TableName, check, create
from cvdebug.core.database.tablelock import TableLock
from cvdebug.core.errors import DatabaseError
from cvdebug.core.model import Phase

from .clusters import PASSWORD, Cluster
from .db_rows import TABLE as DEFAULT
from .db_rows import ask, load_rows, make_plan, make_rows, make_table
from .driver import Command, until
from .fronts import pooler, tls_front

ROLE = 'o"dd role'
QUOTED = '"o""dd role"'
TABLE = TableName("My Schema", "chunks")
_numbers = itertools.count()


class Owned:
    """A database of the test's own on the cluster, and a role there that may connect and nothing more."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.dsn = cluster.dsn(name, ROLE)

    def sql(self, statements: str) -> None:
        self.cluster.sql(statements, self.name)

    def refused(self, words: str, table: TableName = TABLE, storage: str = "vector") -> str:
        """The hint of the refusal, which must match `words`."""
        with connect(self.dsn, run="tests", role="check") as connection:
            with pytest.raises(DatabaseError, match=words) as caught:
                check(connection, table, storage=storage)  # type: ignore[arg-type]
            assert PASSWORD not in str(caught.value)
            return caught.value.hint

    def mended(self, hint: str) -> None:
        """Does what the hint says."""
        found = re.search(r"run(?: in the database \S+)?: (.*?)(?:; or .*)?$", hint, re.IGNORECASE)
        assert found, hint
        self.sql(found.group(1).replace("; ", ";\n"))

    def accepted(self, table: TableName = TABLE) -> None:
        with connect(self.dsn, run="tests", role="check") as connection:
            check(connection, table)
            create(connection, table)
            check(connection, table)


@pytest.fixture
def owned(cluster: Cluster) -> Iterator[Owned]:
    name = f"their-{next(_numbers)}"
    cluster.sql(f'CREATE DATABASE "{name}"')
    cluster.sql(f"CREATE ROLE {QUOTED} LOGIN PASSWORD '{PASSWORD}'")
    yield Owned(cluster, name)
    cluster.sql(f'DROP DATABASE "{name}" WITH (FORCE);\nDROP ROLE {QUOTED}')


# who is let in


@pytest.mark.parametrize(
    ("user", "password", "database", "words", "hint"),
    [
        ("boss", "wrong?", "postgres", "password authentication failed", "password"),
        ("boss", "", "postgres", "no password supplied", "password"),
        ("nobody", PASSWORD, "postgres", "password authentication failed", "user"),
        ("boss", PASSWORD, "no such", "does not exist", "Create it"),
    ],
)
def test_whom_the_server_does_not_know_is_told_why(
    cluster: Cluster, user: str, password: str, database: str, words: str, hint: str
) -> None:
    with pytest.raises(DatabaseError, match=words) as caught:
        connect(cluster.dsn(database, user, password), run="tests", role="ask")
    assert hint in caught.value.hint
    assert not password or password not in str(caught.value)


def test_a_server_that_admits_nobody_from_here(cluster: Cluster) -> None:
    with (
        cluster.admission("host all visitor 127.0.0.1/32 reject"),
        pytest.raises(DatabaseError, match=r"pg_hba\.conf") as caught,
    ):
        connect(cluster.dsn(user="visitor"), run="tests", role="ask")
    assert "sslmode=require" in caught.value.hint


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


def test_over_tls_where_the_certificate_is_right(cluster: Cluster, authority: trustme.CA, ca_file: str) -> None:
    with tls_front(cluster.port, authority, "127.0.0.1") as port:
        for more in ({"sslmode": "require"}, {"sslmode": "verify-full", "sslrootcert": ca_file}):
            dsn = cluster.dsn(port=port, **more)
            with connect(dsn, run="tests", role="ask") as connection:
                assert connection.pgconn.ssl_in_use
                make = connection.execute("SELECT 1").fetchone()
            assert make == (1,)


@pytest.mark.parametrize(
    ("names", "more", "words", "hint"),
    [
        (("127.0.0.1",), {"sslmode": "verify-full"}, "root certificate", "sslrootcert"),
        (
            ("127.0.0.1",),
            {"sslmode": "verify-full", "sslrootcert": "OTHER"},
            "certificate verify failed",
            "sslrootcert",
        ),
        (("db.example",), {"sslmode": "verify-full", "sslrootcert": "CA"}, "does not match host name", "verify-ca"),
    ],
)
def test_over_tls_where_it_is_wrong(
    cluster: Cluster, authority: trustme.CA, ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...], more: dict[str, str], words: str, hint: str,
) -> None:  # fmt: skip
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("HOME", str(tmp_path))
    files = {"CA": ca_file, "OTHER": str(other)}
    chosen = {key: files.get(value, value) for key, value in more.items()}
    with (
        tls_front(cluster.port, authority, *names) as port,
        pytest.raises(DatabaseError, match=words) as caught,
    ):
        connect(cluster.dsn(port=port, **chosen), run="tests", role="ask")
    assert hint in caught.value.hint


def test_without_tls_where_it_is_required(cluster: Cluster) -> None:
    with pytest.raises(DatabaseError, match="does not support SSL") as caught:
        connect(cluster.dsn(sslmode="require"), run="tests", role="ask")
    assert "sslmode" in caught.value.hint


# what may be done there


def test_each_missing_right_is_refused_with_the_statement_that_gives_it(owned: Owned) -> None:
    owned.mended(owned.refused("schema My Schema does not exist"))
    owned.mended(owned.refused("no extension vector.*permission denied"))
    owned.accepted()
    owned.sql(f'REVOKE CREATE ON SCHEMA "My Schema" FROM {QUOTED}')  # the table is there, but an index cannot be made
    owned.mended(owned.refused("may not create"))
    owned.accepted()
    owned.sql('ALTER TABLE "My Schema".chunks OWNER TO boss')
    owned.mended(owned.refused("belongs to another role, boss"))
    owned.accepted()
    owned.sql(
        'ALTER TABLE "My Schema".chunks FORCE ROW LEVEL SECURITY;\n'
        'ALTER TABLE "My Schema".chunks ENABLE ROW LEVEL SECURITY'
    )
    owned.mended(owned.refused("Row security"))
    owned.accepted()
    owned.sql(f"ALTER ROLE {QUOTED} SET default_transaction_read_only = on")
    owned.mended(owned.refused("may only read"))
    owned.accepted()


def test_the_extension_in_a_closed_schema(owned: Owned) -> None:
    owned.sql('CREATE SCHEMA "the extensions";\nCREATE EXTENSION vector SCHEMA "the extensions"')
    owned.sql(f"ALTER ROLE {QUOTED} SET search_path = nowhere")
    owned.mended(owned.refused("schema My Schema does not exist"))
    owned.mended(owned.refused("schema the extensions, which this user may not use"))
    owned.accepted()


def test_a_server_without_pgvector(owned: Owned) -> None:
    owned.sql(f'GRANT CREATE ON DATABASE "{owned.name}" TO {QUOTED}')
    with owned.cluster.without_pgvector():
        assert "Install it" in owned.refused("The server has no pgvector")


def test_a_search_path_that_leads_nowhere(owned: Owned) -> None:
    """CREATE EXTENSION then needs a schema by name, even of a superuser."""
    owned.sql(f"ALTER ROLE {QUOTED} SUPERUSER;\nALTER ROLE {QUOTED} SET search_path = nowhere")
    owned.accepted()
    owned.sql(f"ALTER ROLE {QUOTED} NOSUPERUSER")


def test_the_server_s_own_schemas_are_not_ours(owned: Owned) -> None:
    assert "--table" in owned.refused("PostgreSQL's own", TableName("pg_mine", "chunks"))
    assert "--table" in owned.refused("PostgreSQL's own", TableName("information_schema", "chunks"))


def test_other_people_s_table_is_refused_and_kept(owned: Owned) -> None:
    owned.sql("CREATE TABLE public.chunks (id int);\nINSERT INTO public.chunks VALUES (1)")
    assert "--table" in owned.refused("not made by cvdebug", TableName("public", "chunks"))
    assert ask(owned.cluster.dsn(owned.name), "SELECT count(*) FROM public.chunks") == [(1,)]


def test_a_wrong_column_is_refused_with_what_mends_it(owned: Owned) -> None:
    owned.sql(f'GRANT CREATE ON DATABASE "{owned.name}" TO {QUOTED};\nCREATE EXTENSION vector')
    owned.accepted()
    owned.sql('ALTER TABLE "My Schema".chunks ALTER COLUMN embedding TYPE vector(384)')
    hint = owned.refused(r"embedding .* is vector\(384\), where vector\(1024\)")
    owned.sql(hint.partition(" lets cvdebug")[0])
    owned.accepted()
    owned.sql('ALTER TABLE "My Schema".chunks ALTER COLUMN embedding TYPE halfvec(1024)')
    assert "--storage halfvec" in owned.refused(r"is halfvec\(1024\)")
    owned.sql('ALTER TABLE "My Schema".chunks ALTER COLUMN ordinal TYPE text')
    assert "DROP TABLE" in owned.refused("ordinal .* is text", storage="halfvec")


def test_a_view_shows_the_new_rows(owned: Owned) -> None:
    dsn = owned.cluster.dsn(owned.name)
    make_table(dsn)
    load_rows(dsn, make_rows(20, source="old"))
    owned.sql("CREATE VIEW public.sources AS SELECT DISTINCT split_part(source, '-', 1) AS source FROM cvdebug.chunks")
    load_rows(dsn, make_rows(10, source="new"))
    assert ask(dsn, "SELECT source FROM public.sources") == [("new",)]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_is_not_in_utf8(owned: Owned, encoding: str) -> None:
    owned.sql(f"CREATE DATABASE other ENCODING '{encoding}' TEMPLATE template0")
    try:
        dsn = owned.cluster.dsn("other")
        make_table(dsn)
        rows = make_rows(10, source="é")
        load_rows(dsn, rows)
        assert ask(dsn, "SELECT source FROM cvdebug.chunks WHERE id = 0") == [("é-0",)]
        if encoding == "LATIN1":
            with pytest.raises(DatabaseError, match="no equivalent in encoding") as caught:
                load_rows(dsn, [*rows[:-1], rows[-1]._replace(text="Łódź")])
            assert "UTF8" in caught.value.hint
            assert ask(dsn, "SELECT count(*) FROM cvdebug.chunks") == [(10,)]
    finally:
        owned.sql("DROP DATABASE other WITH (FORCE)")


def test_a_member_of_the_owner_swaps_and_the_owner_stays(owned: Owned) -> None:
    owned.sql("CREATE ROLE team")
    try:
        owned.sql(f"CREATE EXTENSION vector;\nCREATE SCHEMA cvdebug AUTHORIZATION team;\nGRANT team TO {QUOTED}")
        make_table(owned.dsn)
        owned.sql("ALTER TABLE cvdebug.chunks OWNER TO team;\nGRANT SELECT ON cvdebug.chunks TO PUBLIC")
        load_rows(owned.dsn, make_rows(20), replace="swap")
        state = "SELECT relowner::regrole::text, relacl::text FROM pg_class WHERE oid = 'cvdebug.chunks'::regclass"
        ((owner, privileges),) = ask(owned.dsn, state)
        assert owner == "team"
        assert "=r/team" in str(privileges)
        owned.sql("REVOKE CREATE ON SCHEMA cvdebug FROM team")  # the new table could not become theirs
        owned.sql(f"GRANT CREATE ON SCHEMA cvdebug TO {QUOTED}")
        with pytest.raises(DatabaseError, match="cannot give the new table to team") as caught:
            load_rows(owned.dsn, make_rows(5), replace="swap")
        assert "--replace truncate" in caught.value.hint
        assert ask(owned.dsn, "SELECT count(*) FROM cvdebug.chunks") == [(20,)]
    finally:
        owned.sql("DROP OWNED BY team CASCADE;\nDROP ROLE team")


# behind a pooler


@pytest.fixture
def trusted(owned: Owned) -> Iterator[Owned]:
    with owned.cluster.admission("host all boss 127.0.0.1/32 trust"):
        yield owned


def test_a_pooler_that_gives_sessions_away_is_refused_before_it_gets_a_lock(trusted: Owned) -> None:
    with pooler(trusted.cluster.port, by_transaction=True) as port:
        dsn = trusted.cluster.dsn(trusted.name, port=port)
        with pytest.raises(DatabaseError, match="pooler in transaction mode") as caught:
            TableLock.acquire(dsn, TABLE, "tests")
        assert "session mode" in caught.value.hint
        assert ask(trusted.cluster.dsn(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]


def test_behind_a_pooler_of_sessions_a_load_knows_its_own_backend(trusted: Owned) -> None:
    with pooler(trusted.cluster.port, by_transaction=False) as port:
        dsn = trusted.cluster.dsn(trusted.name, port=port)
        with TableLock.acquire(dsn, DEFAULT, "tests"):
            make_table(dsn)
            load_rows(dsn, make_rows(20))
            waits: list[str] = []
            with psycopg.connect(dsn, application_name="long report") as reader:
                reader.execute("SELECT count(*) FROM cvdebug.chunks")

                def hear(phase: Phase, done: int, total: int, detail: str) -> None:
                    if "waits for" in detail:
                        waits.append(detail)
                        reader.rollback()

                load_with_retry(
                    dsn, DEFAULT, lambda: make_rows(30), run="tests", total=30, plan=make_plan(30), marker=Marker(),
                    progress=hear, on_retry=lambda number, why: None,
                )  # fmt: skip
    assert "long report" in waits[0]
    assert ask(trusted.cluster.dsn(trusted.name), "SELECT count(*) FROM cvdebug.chunks") == [(30,)]


# the whole run


def test_a_run_over_tls_by_a_role_with_few_rights(
    owned: Owned, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    owned.sql("CREATE SCHEMA extensions;\nCREATE EXTENSION vector SCHEMA extensions")
    owned.sql(f"GRANT USAGE ON SCHEMA extensions TO {QUOTED};\nCREATE SCHEMA mine AUTHORIZATION {QUOTED}")
    owned.sql(f"ALTER ROLE {QUOTED} SET search_path = '';\nALTER ROLE {QUOTED} SET statement_timeout = '30s'")
    command = Command(tmp_path / "home")
    with tls_front(owned.cluster.port, authority, "127.0.0.1") as port:
        dsn = owned.cluster.dsn(owned.name, ROLE, port=port, sslmode="verify-full", sslrootcert=ca_file)
        result = command.events(
            "run", "--cvs", "20", "--dsn", dsn, "--table", "mine.chunks", "--keep-spool", "--timeout", "100"
        )
    assert result.code == 0, result
    until(lambda: not command.left())
    assert ask(owned.dsn, "SELECT count(*) > 20 FROM mine.chunks") == [(True,)]
    written = b"".join(file.read_bytes() for spool in command.spools() for file in spool.iterdir() if file.is_file())
    assert written
    assert "sw0rdfish" in PASSWORD
    assert "sw0rdfish" not in result.out + result.err
    assert b"sw0rdfish" not in written


def test_a_refused_run_says_so_before_anything_is_computed(owned: Owned, tmp_path: Path) -> None:
    command = Command(tmp_path / "home")
    result = command.run("run", "--cvs", "20", "--dsn", owned.dsn, "--plain")
    assert result.code == 1, result
    said = " ".join((result.out + result.err).split())
    assert f"CREATE SCHEMA cvdebug; GRANT USAGE, CREATE ON SCHEMA cvdebug TO {QUOTED}" in said
    assert "Traceback" not in said
    assert PASSWORD not in result.out + result.err
    until(lambda: not command.left())
    assert not command.spools()
