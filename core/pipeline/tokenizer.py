"""Loads a `tokenizer.json`: the shipped one, or one that a user names.

Imports tokenizers, so only what tokenizes may import this module. Never truncates, never pads: the windows are
cut by `windows`, and a silently shortened text would be lost.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from tokenizers import Tokenizer

from ..errors import InputError
from ..files import read_regular, reason

SHIPPED = Path(__file__).with_name("wordpiece.json")

MAX_BYTES = 256 << 20  # vocabularies of hundreds of thousands of pieces take tens of MB
_HINT = "Give a tokenizer.json as the tokenizers library saves it, or leave the option out for the shipped one."
_PROBE = "a b, é 字 \U0001f642 x1"
"""Every kind of character once, so that a vocabulary without its unknown token is refused here, not in the middle."""


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
