"""Ollama: whether a server answers, and has the model. It is optional: without it a run uses `lexical`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..embedding.ollama.address import VARIABLE, parse
from ..errors import UsageError
from ..settings import DEFAULT_OLLAMA_HOST
from . import faults
from .check import Answer, Machine, failed, note, ok, warning, worst_of

if TYPE_CHECKING:
    from ..embedding.ollama.client import Client

_READ_S = 3.0
_START = "Start it: ollama serve, or name it with --ollama-url or OLLAMA_HOST."
_LEAVE = "Nothing to do, unless you want --embedder ollama."
_ADDRESS = "Look at --ollama-url or OLLAMA_HOST: curl URL/api/version answers with a version where Ollama is."


def ollama(machine: Machine) -> Answer:
    """Asks for its version and its models."""
    from ..embedding.ollama.client import Client  # imported here, as httpx is heavy
    from ..embedding.ollama.trouble import Kind, Trouble

    wanted = machine.settings.embedder == "ollama"
    named = machine.settings.ollama_url or machine.environment.get(VARIABLE)
    bad = failed if wanted else warning if named else note
    try:
        url = parse(named or DEFAULT_OLLAMA_HOST, where="--ollama-url" if machine.settings.ollama_url else VARIABLE)
        with Client(url) as client:
            version, models = _asked(client)
    except UsageError as error:
        return bad(error.what, error.hint)
    except Trouble as trouble:
        start = _START if wanted or named else _LEAVE
        return bad(f"Ollama at {url} {trouble.what}", start if trouble.kind is Kind.CONNECT else _ADDRESS)
    if not version:
        return bad(f"something else than Ollama answers at {url}", _ADDRESS)
    return worst_of([ok(f"Ollama {version} at {url}"), *_faults(version, wanted=wanted), _model(machine, models)])


def _asked(client: Client) -> tuple[str, list[str]]:
    """Its version, empty when it does not say one as Ollama does, and the names of its models. Raises Trouble."""
    from ..embedding.ollama.client import Deadline

    version = _member(client.get("/api/version", deadline=Deadline.of(_READ_S)), "version")
    models = _member(client.get("/api/tags", deadline=Deadline.of(_READ_S)), "models") if version else None
    listed = models if isinstance(models, list) else []
    names = [str(_member(model, "model") or _member(model, "name")) for model in listed]
    return (version if isinstance(version, str) else ""), names


def _member(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _faults(version: str, *, wanted: bool) -> list[Answer]:
    bad: Callable[[str, str], Answer] = warning if wanted else note
    return [bad(faults.told(fault), "Update Ollama.") for fault in faults.known(version, faults.OLLAMA)]


def _model(machine: Machine, models: list[str]) -> Answer:
    """Whether the model of the settings is there."""
    from ..embedding.ollama.identity import canonical

    name = machine.settings.model
    if canonical(name) in map(canonical, models):
        return ok(f"it has the model {name}")
    wanted = machine.settings.embedder == "ollama" and not machine.settings.pull
    found = f"it has no model {name} ({len(models)} others)"
    return (failed if wanted else note)(found, f"Get it: ollama pull {name}")
