"""Connection strings: read them, and show them without their secrets.

No function here lets a password through: what libpq cannot read is shown as nothing but `***`.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from .. import libpq
from ..errors import UsageError
from ..libpq import FROM_ENVIRONMENT

_HIDDEN = "***"
_SCHEMES = ("postgresql://", "postgres://")
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_SECRETS = frozenset({"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"})


def parse(dsn: str) -> dict[str, str]:
    """The parameters of a URI or key=value string; {} for `env`. UsageError when it is empty or cannot be read.

    libpq's own words are not repeated: they quote the part that it did not understand, which may be a password.
    """
    if not dsn.strip():
        raise UsageError("The dsn is empty", hint=f"Give a libpq URI or key=value pairs, or {FROM_ENVIRONMENT!r}")
    if dsn == FROM_ENVIRONMENT:
        return _require_variables()
    try:
        parameters = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    except (psycopg.Error, UnicodeError, ValueError) as error:
        raise UsageError(
            "The dsn is neither a connection URI nor key=value pairs that libpq can read",
            hint="Write postgresql://user@host:5432/database, and % @ / : in a password percent-encoded",
        ) from (None if isinstance(error, psycopg.Error) else error)
    if dsn.startswith(_SCHEMES) and _is_torn(dsn, parameters):
        raise UsageError(
            "The dsn's password seems to hold a character that ends it",
            hint="Write @ / : ? in a password percent-encoded (%40 %2F %3A %3F)",
        )
    return parameters


def _is_torn(uri: str, parameters: dict[str, str]) -> bool:
    """Whether a bare @ or / in a password made libpq take a part of it for the host, the port or the database."""
    rest = uri.partition("://")[2]
    authority = rest.partition("/")[0]
    behind = rest.partition("@")[2] if "@" in authority else rest
    port = parameters.get("port", "")
    return "@" in behind.partition("?")[0] or (not port.replace(",", "0").isdecimal() and port != "")


def _require_variables() -> dict[str, str]:
    if not libpq.variables():
        raise UsageError(
            "The dsn is 'env', but no PG* variable is set", hint="Set PGHOST, PGDATABASE, PGUSER, or PGSERVICE"
        )
    return {}


def redact(dsn: str) -> str:
    """The dsn with every secret shown as ***; wholly *** when it cannot be read."""
    return _rewritten(dsn, _HIDDEN)


def without_password(dsn: str) -> str:
    """The dsn without its secrets, still good to connect with where ~/.pgpass or trust lets one in."""
    return _rewritten(dsn, None)


def _rewritten(dsn: str, secret: str | None) -> str:
    try:
        parameters = parse(dsn)
    except UsageError:
        return _HIDDEN
    if dsn == FROM_ENVIRONMENT:
        return dsn
    shown = {
        key: secret if key in _SECRETS else value
        for key, value in parameters.items()
        if key not in _SECRETS or secret is not None
    }
    kept = {key: value for key, value in shown.items() if value is not None}
    return _uri(kept) if dsn.startswith(_SCHEMES) else make_conninfo("", **kept)


def _uri(parameters: dict[str, str]) -> str:
    """A URI with the same parameters: user, host, port and database where people look for them, the rest as query."""
    rest = dict(parameters)
    database = quote(rest.pop("dbname", ""), safe="")
    user, password = rest.pop("user", ""), rest.pop("password", "")
    credentials = quote(user, safe="") + (f":{password}" if password else "")
    place = ""
    # A socket's folder and lists of hosts go into the query, where any value can be written.
    if not set("/,:") & set(rest.get("host", "/")):
        place = quote(rest.pop("host"), safe="")
        place += f":{rest.pop('port')}" if "port" in rest else ""
    query = "?" + urlencode(rest, quote_via=quote, safe="*") if rest else ""
    return f"postgresql://{credentials}{'@' if credentials else ''}{place}/{database}{query}"
