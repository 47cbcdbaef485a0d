"""Loads a `tokenizer.json`: the shipped one, or one that a user names.

Imports tokenizers, so only what tokenizes may import this module. Never truncates, never pads: the windows are
cut by `windows`, and a silently shortened text would be lost.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from tokenizers import Tokenizer

from ..errors import InputError
from ..files import read_regular, reason
from ..reach import may_be_reached
from ..settings import is_hub_name

SHIPPED = Path(__file__).with_name("wordpiece.json")

MAX_BYTES = 256 << 20  # vocabularies of hundreds of thousands of pieces take tens of MB
_HINT = "Give a tokenizer.json as the tokenizers library saves it, or leave the option out for the shipped one."
_HINT_HUB = "Where there is no network, name a tokenizer.json of this machine, or leave the option out."
FROM_HUB = "tokenizer.json"
_PROBE = "a b, é 字 \U0001f642 x1"
"""Every kind of character once, so that a vocabulary without its unknown token is refused here, not in the middle."""


def locate(name: str | None, spool: Path | None = None) -> Path | None:
    """The file of the tokenizer that a setting names, None for the shipped one. One of the hub (`owner/name`) is
    downloaded once, and kept in the spool's folder.

    Raises InputError when the hub has not got it, or cannot be reached.
    """
    if name is None or not is_hub_name(name):
        return Path(name) if name else None
    kept = spool / FROM_HUB if spool is not None else None
    if kept is not None and kept.exists():
        return kept
    found = _download(name)
    if kept is None:
        return found
    new = kept.with_suffix(".new")
    new.write_bytes(found.read_bytes())
    return new.replace(kept)


def _download(name: str) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import constants, errors, hf_hub_download  # heavy, and wanted by few runs

    try:
        # The library itself asks a hub that is out of reach again and again, for half a minute.
        local = not may_be_reached(constants.ENDPOINT)
        return Path(hf_hub_download(name, FROM_HUB, local_files_only=local))
    except errors.RepositoryNotFoundError:
        raise InputError(f"The hub has no {name}, or not for everybody", hint=_HINT_HUB) from None
    except errors.EntryNotFoundError as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise InputError(
                f"The tokenizer {name} is not on this machine, and the hub cannot be reached", hint=_HINT_HUB
            ) from None
        raise InputError(f"{name} on the hub has no tokenizer.json", hint=_HINT_HUB) from None
    except Exception as error:
        what = f"The tokenizer {name} cannot be had from the hub: {_first_line(error)}"
        raise InputError(what, hint=_HINT_HUB) from error


def load(path: Path | None = None) -> Tokenizer:
    """The tokenizer in `path`, None for the shipped one, without truncation and padding.

    Raises InputError when the file is missing, is no tokenizer.json, or cannot turn "a b" into tokens with offsets.
    """
    content = _content(path)
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8-sig"))
    except Exception as error:
        raise InputError(f"The tokenizer {path} cannot be read: {_first_line(error)}", hint=_HINT) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    _probe(tokenizer, path)
    return tokenizer


def fingerprint(path: Path | None = None) -> str:
    """SHA-256 of the file, in hex; vectors and windows of two runs may be mixed only if it is the same."""
    return sha256(_content(path)).hexdigest()


def _content(path: Path | None) -> bytes:
    try:
        return read_regular(path or SHIPPED, MAX_BYTES)
    except FileNotFoundError:
        raise InputError(f"The tokenizer file {path} does not exist", hint=_HINT) from None
    except (OSError, ValueError) as error:
        raise InputError(f"The tokenizer file {path} cannot be read: {reason(error)}", hint=_HINT) from error


def _probe(tokenizer: Tokenizer, path: Path | None) -> None:
    try:
        tokenizer.encode(_PROBE, add_special_tokens=False)
        encoding = tokenizer.encode("a b", add_special_tokens=False)
    except Exception as error:
        raise InputError(f"The tokenizer {path} cannot encode text: {_first_line(error)}", hint=_HINT) from error
    if not any(start < end <= 3 for start, end in encoding.offsets):
        raise InputError(f"The tokenizer {path} makes no tokens with offsets of 'a b'", hint=_HINT)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
