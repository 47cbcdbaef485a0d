"""What faulthandler writes, read back."""

from __future__ import annotations

import faulthandler
import tempfile

from cvdebug.core.model import Frame
from cvdebug.core.observe.faults import parse
from hypothesis import given
from hypothesis import strategies as some


def test_the_real_thing() -> None:
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file=file, all_threads=False)
        file.seek(0)
        frames = parse(file.read())
    assert (frames[0].function, frames[0].file) == ("test_the_real_thing", __file__)
    assert frames[0].line > 0


def test_what_is_not_known() -> None:
    frames = b'  File "a "b", line 3.py", line 12 in <lambda>\n  File ???, line ??? in f\n'
    text = b"Stack (most recent call first):\n" + frames + b"  ...\n"
    assert parse(text) == (Frame(function="<lambda>", file='a "b", line 3.py', line=12), Frame(function="f"))


@given(some.binary())
def test_anything(text: bytes) -> None:
    assert isinstance(parse(text), tuple)
    assert isinstance(parse(b'  File "x", line 1 in ' + text), tuple)
