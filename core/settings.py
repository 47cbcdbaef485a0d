"""What a run can be told, checked, and where each value came from.

Flags come before CVDEBUG_* variables, these before the scenario, and that before the defaults. No secrets live here:
a DSN is kept without its password in everything that is written.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from .errors import UsageError

ENV_PREFIX = "CVDEBUG_"
DEFAULT_M = 16  # pgvector's

Parallelism = Literal["on", "off", "unset"]
StartMethod = Literal["fork", "spawn", "forkserver", "thread"]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a run. `None` means: chosen from the data and the machine."""

    # load
    input: Text | None = None  # a folder or a .jsonl file; None: the built-in generator
    cvs: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 400
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    # tokenize, embed, cleanup
    tokenizer: Text | None = None  # a tokenizer.json; None: the one that is shipped
    embedder: Literal["lexical"] = "lexical"
    parallelism: Parallelism = "off"
    start_method: StartMethod = "fork"
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    batch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 32  # chunks an embedder gets at once
    tokenize_in_workers: bool = False  # the embedder cuts its texts with encode_batch, in the worker
    fault: Literal["none", "nan-vector", "open-transaction", "kill-worker"] = "none"
    # store, index
    dsn: Text | None = None  # None: the embedded server
    table: Text = "cvdebug.chunks"
    index: Literal["hnsw", "ivfflat", "none"] = "hnsw"
    metric: Literal["cosine", "ip", "l2"] = "cosine"
    # The limits are pgvector's (hnsw.h, ivfflat.h) and PostgreSQL's.
    m: Annotated[int, msgspec.Meta(ge=2, le=100)] | None = None
    ef_construction: Annotated[int, msgspec.Meta(ge=4, le=1000)] | None = None
    lists: Annotated[int, msgspec.Meta(ge=1, le=32768)] | None = None
    maintenance_work_mem_mb: Annotated[int, msgspec.Meta(ge=1, le=2_097_151)] | None = None
    lock_timeout_s: Annotated[float, msgspec.Meta(ge=0, le=2_000_000)] = 10.0  # 0: waits for ever
    # the run
    keep_spool: bool = False
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


FIELDS: dict[str, Any] = get_type_hints(Settings, include_extras=True)
_FLAGS = {"timeout_s": "--timeout"}  # where a flag is not its setting's name


def flag(key: str) -> str:
    """The flag that sets `key`."""
    return _FLAGS.get(key, "--" + key.replace("_", "-"))


def nearest(word: str, known: Sequence[str]) -> str:
    """The advice that names the known word nearest to `word`, or all of them when none is near."""
    return _near(word, known) or f"Known: {', '.join(sorted(known))}."


def _near(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {found[0]}?" if found else ""


def checked(key: str, value: Any, *, where: str, lax: bool = False) -> Any:
    """`value` as the type of setting `key`; `lax` reads numbers and booleans from strings.

    Raises UsageError that names `where` (a file, a flag, a variable), the key and what was expected.
    """
    if key not in FIELDS:
        raise UsageError(f"{where}: there is no setting {key}", hint=nearest(key, tuple(FIELDS)))
    subject = where if where.startswith(("--", ENV_PREFIX)) else f"{where}: {key}"
    try:
        return msgspec.convert(value, FIELDS[key], strict=not lax)
    except msgspec.ValidationError as error:
        expected = str(error).split(" - at ")[0].replace("`", "")
        if expected.startswith("Invalid enum value"):
            choices = _choices(FIELDS[key])
            only = f"{subject} cannot be {value!r}, only {', '.join(choices)}"
            raise UsageError(only, hint=_near(str(value), choices)) from None
        raise UsageError(f"{subject} cannot be {_shown(key, value)} ({expected})") from None


def _shown(key: str, value: Any) -> str:
    """A value as an error may repeat it: a DSN may hold a password."""
    return "that" if key == "dsn" and value else repr(value)


def _choices(hint: Any) -> tuple[str, ...]:
    return tuple(str(choice) for choice in getattr(hint, "__args__", ()))


class Resolved(msgspec.Struct, frozen=True):
    """Settings, and for each that is not a default where it came from."""

    settings: Settings
    origins: dict[str, str]


def resolve(
    *,
    flags: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    scenario: Mapping[str, Any] | None = None,
    scenario_name: str = "scenario",
) -> Resolved:
    """The settings in force. `flags` holds only those that were given; None counts as not given.

    Raises UsageError for an unknown key or a value of the wrong kind.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def take(key: str, value: Any, origin: str, *, lax: bool) -> None:
        values[key] = checked(key, value, where=origin, lax=lax)
        origins[key] = origin

    for key, value in (scenario or {}).items():
        take(key, value, scenario_name, lax=False)
    for key in FIELDS:
        variable = ENV_PREFIX + key.upper()
        if variable in environment:
            take(key, environment[variable], variable, lax=True)
    for key, value in flags.items():
        if value is not None:
            take(key, value, flag(key), lax=False)
    return Resolved(_consistent(Settings(**values), origins), origins)


def _consistent(settings: Settings, origins: Mapping[str, str]) -> Settings:
    if settings.input is not None:
        for key in ("cvs", "seed"):
            if key in origins and origins[key].startswith("--"):
                raise UsageError(f"{origins[key]} is for the built-in generator, and --input is given too")
    if settings.fault == "kill-worker" and settings.start_method == "thread":
        raise UsageError(
            "the fault kill-worker kills a worker, and with start_method thread that is the subject itself",
            hint="Use fork, spawn or forkserver.",
        )
    if settings.tokenizer is not None and not Path(settings.tokenizer).is_file():
        what = "is not a regular file" if Path(settings.tokenizer).exists() else "does not exist"
        raise UsageError(f"the tokenizer {settings.tokenizer} {what}", hint="Give the path of a tokenizer.json.")
    if settings.ef_construction is not None and settings.ef_construction < 2 * (settings.m or DEFAULT_M):
        hint = f"Use {2 * (settings.m or DEFAULT_M)} or more."
        raise UsageError(f"ef_construction is {settings.ef_construction}, less than twice m", hint=hint)
    for key, kind in (("m", "hnsw"), ("ef_construction", "hnsw"), ("lists", "ivfflat")):
        if getattr(settings, key) is not None and settings.index != kind:
            raise UsageError(
                f"{key} is a parameter of {kind}, and the index is {settings.index}", hint=f"Add --index {kind}."
            )
    return settings


def absolute(path: str, base: Path) -> str:
    """`path` as seen from the folder `base`, with ~ expanded."""
    return str((base / Path(path).expanduser()).resolve())
