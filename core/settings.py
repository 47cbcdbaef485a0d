"""What a run can be told, checked, and where each value came from.

Flags come before CVDEBUG_* variables, these before the scenario, that before the config file (core.config), and this
before the defaults: a scenario needs its settings to show what it teaches. No secrets live here: a DSN is kept without
its password in everything that is written.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec

from .embedding.ollama.address import VARIABLE as OLLAMA_HOST
from .embedding.ollama.address import parse as parse_address
from .errors import UsageError

ENV_PREFIX = "CVDEBUG_"
DEFAULT_M = 16  # pgvector's

DEFAULT_OLLAMA_HOST = "127.0.0.1:11434"
_OF_OLLAMA = ("ollama_url", "model", "pull", "embed_timeout_s")
_HUB_NAME = re.compile(r"\w[\w-]*(?:\.[\w-]+)*/\w[\w.-]*")  # a first part with a dot at its start would be a folder

Parallelism = Literal["on", "off", "unset"]
StartMethod = Literal["fork", "spawn", "forkserver", "thread"]
Fault = Literal[
    "none",
    "nan-vector",
    "open-transaction",
    "kill-worker",
    "end-backend",
    "embedder-stall",
    "log-lock",
    "queue-join",
    "shared-connection",
]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a run. `None` means: chosen from the data and the machine."""

    # load
    input: Text | None = None  # a folder or a .jsonl file; None: the built-in generator
    cvs: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 400
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    # tokenize, embed, cleanup
    tokenizer: Text | None = None  # a tokenizer.json, or owner/name on the hub; None: the one that is shipped
    embedder: Literal["lexical", "ollama"] = "lexical"
    ollama_url: Text | None = None  # None: OLLAMA_HOST, else this machine
    model: Text = "qllama/bge-large-en-v1.5"  # of the Ollama server
    pull: bool = False  # has the server download a model that it has not
    embed_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None  # for one request; None: by its size
    parallelism: Parallelism = "off"
    start_method: StartMethod = "fork"
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    batch: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 32  # chunks an embedder gets at once
    tokenize_in_workers: bool = False  # the embedder cuts its texts with encode_batch, in the worker
    fault: Fault = "none"
    # store, index
    dsn: Text | None = None  # None: the embedded server
    table: Text = "cvdebug.chunks"
    replace: Literal["truncate", "swap"] = "truncate"  # the rows of the table, or the table itself
    storage: Literal["vector", "halfvec"] = "vector"  # float32, or float16 in half the space
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
# Faults that only a worker which is a process can have.
_OF_PROCESSES = {
    "kill-worker": "the fault kill-worker kills a worker",
    "queue-join": "the fault queue-join waits for a worker to end",
}
# Where a flag is not its setting's name.
_FLAGS = {"timeout_s": "--timeout", "lock_timeout_s": "--lock-timeout", "embed_timeout_s": "--embed-timeout"}


def flag(key: str) -> str:
    """The flag that sets `key`."""
    return _FLAGS.get(key, "--" + key.replace("_", "-"))


def nearest(word: str, known: Sequence[str]) -> str:
    """The advice that names the known word nearest to `word`, or all of them when none is near."""
    return near(word, known) or f"Known: {', '.join(sorted(known))}."


def near(word: str, known: Sequence[str]) -> str:
    """The same advice; "" when no known word is near."""
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
            raise UsageError(only, hint=near(str(value), choices)) from None
        raise UsageError(f"{subject} cannot be {_shown(key, value)} ({expected})") from None


def _shown(key: str, value: Any) -> str:
    """A value as an error may repeat it, in the way of TOML: a DSN may hold a password."""
    if key == "dsn" and value:
        return "that"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _choices(hint: Any) -> tuple[str, ...]:
    return tuple(str(choice) for choice in getattr(hint, "__args__", ()))


class Standing(NamedTuple):
    """What a config file says of a setting, checked, and where."""

    value: Any
    where: str


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
    standing: Mapping[str, Standing] | None = None,
) -> Resolved:
    """The settings in force. `flags` holds only those that were given; None counts as not given.

    `standing` is what the config file says. Raises UsageError for an unknown key or a value of the wrong kind.
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
    said = dict(values)
    for key, (value, where) in (standing or {}).items():
        if key not in said and not _gives_way(key, said):
            values[key], origins[key] = value, where
    if values.get("embedder") == "ollama" and values.get("ollama_url") is None and OLLAMA_HOST in environment:
        take("ollama_url", environment[OLLAMA_HOST] or DEFAULT_OLLAMA_HOST, OLLAMA_HOST, lax=True)
    return Resolved(_consistent(Settings(**values), origins), origins)


def _gives_way(key: str, said: Mapping[str, Any]) -> bool:
    """Whether the config file's `key` does not go with what was `said` above it."""
    index: str | None = said.get("index")
    match key:
        case "input":
            return "cvs" in said or "seed" in said
        case "m":
            return index not in (None, "hnsw")
        case "ef_construction":
            return index not in (None, "hnsw") or "m" in said
        case "lists":
            return index not in (None, "ivfflat")
        case "start_method":
            return said.get("fault") in _OF_PROCESSES
        case "embedder":
            return bool(said.get("tokenize_in_workers"))
    return False


def _consistent(settings: Settings, origins: Mapping[str, str]) -> Settings:
    if settings.input is not None:
        for key in ("cvs", "seed"):
            if key in origins and origins[key].startswith("--"):
                where = origins.get("input", "--input")
                raise UsageError(f"{origins[key]} is for the built-in generator, and there is an input ({where})")
    if settings.start_method == "thread" and settings.fault in _OF_PROCESSES:
        raise UsageError(
            f"{_OF_PROCESSES[settings.fault]}, and with start_method thread that is the subject itself",
            hint="Use fork, spawn or forkserver.",
        )
    _check_tokenizer(settings.tokenizer)
    settings = _with_ollama(settings, origins)
    if settings.ef_construction is not None and settings.ef_construction < 2 * (settings.m or DEFAULT_M):
        hint = f"Use {2 * (settings.m or DEFAULT_M)} or more."
        raise UsageError(f"ef_construction is {settings.ef_construction}, less than twice m", hint=hint)
    for key, kind in (("m", "hnsw"), ("ef_construction", "hnsw"), ("lists", "ivfflat")):
        if getattr(settings, key) is not None and settings.index != kind:
            raise UsageError(
                f"{key} is a parameter of {kind}, and the index is {settings.index}", hint=f"Add --index {kind}."
            )
    return settings


def _with_ollama(settings: Settings, origins: Mapping[str, str]) -> Settings:
    """The settings with the server's base URL in its full form."""
    if settings.embedder != "ollama":
        for key in _OF_OLLAMA:
            if origins.get(key, "").startswith("--"):
                raise UsageError(f"{origins[key]} is for the embedder ollama", hint="Add --embedder ollama.")
        return settings
    if settings.tokenize_in_workers:
        raise UsageError("tokenize_in_workers is for the embedder lexical, as Ollama tokenizes on its own side")
    url = parse_address(settings.ollama_url or DEFAULT_OLLAMA_HOST, where=origins.get("ollama_url", "ollama_url"))
    return msgspec.structs.replace(settings, ollama_url=url)


def _check_tokenizer(name: str | None) -> None:
    if name is None or is_hub_name(name) or Path(name).is_file():
        return
    what = "is not a regular file" if Path(name).exists() else "does not exist"
    hint = "Give the path of a tokenizer.json, or a name on the hub, as owner/name."
    raise UsageError(f"the tokenizer {name} {what}", hint=hint)


def is_hub_name(tokenizer: str) -> bool:
    """Whether it names a tokenizer on the hub (`owner/name`) and not a file: a file of that name comes first."""
    return bool(_HUB_NAME.fullmatch(tokenizer)) and not tokenizer.endswith(".json") and not Path(tokenizer).exists()


def absolute(path: str, base: Path) -> str:
    """`path` as seen from the folder `base`, with ~ expanded."""
    return str((base / Path(path).expanduser()).resolve())
