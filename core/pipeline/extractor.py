"""The process that opens foreign documents, so that one which crashes, swells or never ends harms only itself.

    python -P -m cvdebug.core.pipeline.extractor

Each order on standard input is answered on standard output, in the frames of `core.pipeline.extraction`. It ends with
its standard input. It can write no file, and has a limit of memory.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..files import NotAFile, TooLarge, read_regular, reason
from .document import Unusable
from .extraction import Answer, Order, read_frame, write_frame

MEMORY_BYTES = 1 << 30


def main() -> None:
    """Answers orders until there are no more."""
    _limit()
    answers = _answers()
    while order := read_frame(sys.stdin.buffer.read):
        asked = msgspec.msgpack.decode(order, type=Order)
        write_frame(answers, msgspec.msgpack.encode(_answer(asked)))


def _limit() -> None:
    for limit, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(limit)[1]
        resource.setrlimit(limit, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _answers() -> BinaryIO:
    """The stream for answers. What a parser prints goes to standard error, and cannot be taken for one."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _answer(order: Order) -> Answer:
    try:
        return _text(read_regular(Path(os.fsdecode(order.path)), order.max_bytes), order)
    except Unusable as error:
        return Answer(reason=str(error), kind=error.kind)
    except NotAFile as error:
        return Answer(reason=str(error), kind="too large" if isinstance(error, TooLarge) else "unreadable")
    except OSError as error:
        return Answer(reason=f"cannot be read: {reason(error)}", kind="unreadable")
    except MemoryError:
        return Answer(reason=f"needs more than {MEMORY_BYTES >> 20} MB of memory to be read", kind="too large")
    except ImportError as error:
        return Answer(reason=f"cannot be read here: {error}", kind="unreadable")
    except Exception as error:  # noqa: BLE001  (whatever a parser meets in foreign data, the next document can be read)
        return Answer(reason=f"cannot be parsed ({type(error).__name__}: {str(error)[:200]})", kind="broken")


def _text(data: bytes, order: Order) -> Answer:
    if not data:
        raise Unusable("without text", "is empty")
    if order.suffix == ".pdf":
        from .formats import pdf

        return Answer(text=pdf.text(data, order.max_bytes))
    if order.suffix == ".docx":
        from .formats import word

        return Answer(text=word.text(data, order.max_bytes))
    from .formats.text import guessed

    text, encoding = guessed(data)
    return Answer(text=text, encoding=encoding)


if __name__ == "__main__":
    main()
