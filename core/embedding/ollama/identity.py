"""Makes sure that the server is Ollama and has the model, and says which exactly: version, digest, quantisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import EmbedderError
from ...served import ServedModel
from .again import insist
from .client import ASK_S, Client, Deadline, decoded
from .trouble import PASSING, Kind, Trouble, excerpt

SERVER = "Ollama"
_DEFAULT_TAG = "latest"
_SHOWN_MODELS = 8
_HINT_ADDRESS = "Look at --ollama-url or OLLAMA_HOST; curl URL/api/version answers with a version where Ollama is."


def version(client: Client) -> str:
    """The server's version. Raises EmbedderError when it cannot be reached, or is something else than Ollama."""
    try:
        answer = _insist(lambda: client.get("/api/version"))
    except Trouble as trouble:
        raise unreachable(client.url, trouble) from None
    found = answer.get("version") if isinstance(answer, dict) else None
    if not isinstance(found, str) or not found:
        raise EmbedderError(f"the server at {client.url} does not say its version as Ollama does", hint=_HINT_ADDRESS)
    return excerpt(found)


def unreachable(url: str, trouble: Trouble) -> EmbedderError:
    """The error for a server that does not answer what needs no model."""
    hint = "Start it with: ollama serve. " + _HINT_ADDRESS if trouble.kind is Kind.CONNECT else _HINT_ADDRESS
    return EmbedderError(f"Ollama at {url} {trouble.what}", hint=hint)


def find(client: Client, model: str) -> ServedModel | None:
    """The model of that name, None when the server has not got it. Raises EmbedderError."""
    own = version(client)
    try:
        answer = _insist(lambda: client.get("/api/tags"))
        models = answer.get("models") if isinstance(answer, dict) else None
        entry = next((each for each in _objects(models) if canonical(_name(each)) == canonical(model)), None)
        if entry is None:
            return None
        shown = _shown(client, model)
    except Trouble as trouble:
        raise EmbedderError(f"Ollama at {client.url} {trouble.what}", hint=_HINT_ADDRESS) from None
    details = entry.get("details")
    kind = details.get("quantization_level", "") if isinstance(details, dict) else ""
    return ServedModel(
        server=SERVER,
        version=own,
        model=excerpt(_name(entry)),
        digest=excerpt(str(entry.get("digest", ""))).removeprefix("sha256:"),
        quantisation=excerpt(str(kind)),
        dimensions=_number(shown, "embedding_length"),
        context_tokens=_number(shown, "context_length"),
    )


def require_dimensions(served: ServedModel, wanted: int) -> None:
    """Raises EmbedderError when the server says that the model makes other vectors. It need not say."""
    if served.dimensions not in (0, wanted):
        raise EmbedderError(
            f"the model {served.model} makes vectors of {served.dimensions:,} dimensions, and the table has {wanted:,}",
            hint=f"Name a model of {wanted:,} dimensions with --model, such as qllama/bge-large-en-v1.5.",
        )


def missing(client: Client, model: str) -> EmbedderError:
    """The error for a model that the server has not got, with what it has."""
    has = ""
    try:
        answer = client.get("/api/tags")
        names = [_name(each) for each in _objects(answer.get("models") if isinstance(answer, dict) else None)]
        more = f" and {len(names) - _SHOWN_MODELS} more" if len(names) > _SHOWN_MODELS else ""
        has = f"; it has {excerpt(', '.join(names[:_SHOWN_MODELS]))}{more}" if names else "; it has none at all"
    except Trouble:
        pass  # that it is missing is known all the same
    return EmbedderError(
        f"Ollama at {client.url} has no model {model}{has}", hint=f"Get it with: ollama pull {model}, or add --pull."
    )


def canonical(name: str) -> str:
    """A model's name in the one form in which two can be compared: with its tag, without the default registry."""
    name = name.lower()
    for default in ("registry.ollama.ai/", "library/"):
        name = name.removeprefix(default)
    return name if ":" in name.rpartition("/")[2] else f"{name}:{_DEFAULT_TAG}"


def _objects(models: Any) -> list[dict[str, Any]]:
    return [each for each in models if isinstance(each, dict)] if isinstance(models, list) else []


def _name(entry: dict[str, Any]) -> str:
    return str(entry.get("model") or entry.get("name") or "")


def _shown(client: Client, model: str) -> dict[str, Any]:
    def ask() -> Any:
        return decoded(client.post("/api/show", {"model": model}, deadline=Deadline.of(ASK_S)), "/api/show")

    answer = _insist(ask)
    return answer if isinstance(answer, dict) else {}


def _insist(action: Callable[[], Any]) -> Any:
    """Where nobody listens, or nothing comes, that is said at once."""
    return insist(action, passing=PASSING - {Kind.CONNECT, Kind.SILENT})


def _number(shown: dict[str, Any], what: str) -> int:
    """A number of the model's own metadata, whose keys begin with its architecture; 0 when it is not there."""
    info = shown.get("model_info")
    if not isinstance(info, dict):
        return 0
    value = info.get(f"{info.get('general.architecture', '')}.{what}")
    return value if isinstance(value, int) else 0
