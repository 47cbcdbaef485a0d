"""What source says about a thread: which locks it holds, and whether it can only sleep."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from cvdebug.core.diagnose import idlers
from cvdebug.core.diagnose.listing import Idleness, held, idleness
from cvdebug.core.model import Frame, Stack
from cvdebug.core.observe.source import source_text
from hypothesis import given
from hypothesis import strategies as st

from tests.programs import until

HERE = "  # here"
LOOP, TALK = Idleness(endless=True, talks=False), Idleness(endless=True, talks=True)
ONCE = Idleness(endless=False, talks=False)


def at(source: str) -> tuple[str, int]:
    text = textwrap.dedent(source)
    return text, next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith(HERE))


@pytest.mark.parametrize(
    ("source", "locks"),
    [
        ("with a:\n    with b:  # here\n        pass", [(1, "a")]),
        ("with a:\n    with self.locks[0]:\n        b.acquire()  # here", [(1, "a"), (2, "self.locks[0]")]),
        ("with a, b:  # here\n    pass", []),
        ("with a: b.acquire()  # here", []),
        ("with open(name) as file:\n    a.acquire()  # here", []),
        ("with pool():\n    a.acquire()  # here", []),
        ("a.acquire()\nb.acquire()  # here", [(1, "a")]),
        ("a.acquire()\na.release()\nb.acquire()  # here", []),
        ("a.acquire()\na.release()\na.acquire()\nb.acquire()  # here", [(3, "a")]),
        ("def f():\n    with a:\n        g()\ndef h():\n    b.acquire()  # here", []),
        ("with a:\n    def f():\n        b.acquire()  # here", []),
        ("with a  # here", []),
    ],
)
def test_the_locks_that_are_held_at_a_line(source: str, locks: list[tuple[int, str]]) -> None:
    assert list(held(*at(source))) == locks


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("while True:\n    time.sleep(1)  # here", LOOP),
        ("while not stop.is_set():\n    x = queue.qsize()\n    sleep(1)  # here", LOOP),
        ("while not stop.wait(1):  # here\n    log.info('%s', len(x))", TALK),
        ("while self.running:\n    print(time.time())\n    time.sleep(1)  # here", TALK),
        ("lock.release()\nwhile True:\n    time.sleep(1)  # here", LOOP),
        ("def f():\n    time.sleep(1)  # here", ONCE),
        ("f = lambda: time.sleep(1)  # here", ONCE),
        ("while time.time() < end:\n    time.sleep(1)  # here", ONCE),
        ("while True:\n    time.sleep(1)  # here\n    if x:\n        break", None),
        ("def f():\n    time.sleep(1)  # here\n    lock.release()", None),
        ("while True:\n    time.sleep(1)  # here\n    check()", None),
        ("while True:\n    with lock:\n        time.sleep(1)  # here", None),
        ("while True:\n    os.kill(pid, 9)\n    time.sleep(1)  # here", None),
        ("while not done():\n    time.sleep(1)  # here", None),
        ("while True:\n    time.sleep(1)  # here\n    event.set()", None),
        ("for _ in range(9):\n    time.sleep(1)  # here", ONCE),
        ("for _ in steps:\n    time.sleep(1)  # here", None),
        ("while True:\n    for thread in threads:\n        print(thread.is_alive())\n    time.sleep(1)  # here", TALK),
        ("while True:\n    pass  # here\n    time.sleep(1)", None),
    ],
)
def test_whether_code_can_only_sleep(source: str, answer: Idleness | None) -> None:
    assert idleness(*at(source)) == answer


LAYOUTS = {
    "method": "class A:\n    x\n\n    def f(self):\n        with a:\n            b\n            b()  # here\n\n    y",
    "header of several lines": "def f(\n    x,\n):\n    with a:\n        b()  # here\n",
    "comment at the margin": "def f():\n    with a:\n# no end\n        b()  # here",
    "text at the margin": 'def f():\n    with a:\n        x = """\ndef g():\n    """\n        b()  # here',
    "the end of a text at the margin": 'def f():\n    with a:\n        x("""\n""", b())  # here',
    "function before it in it": "def f():\n  def g():\n    pass\n  with a:\n    b(\n      c())  # here",
    "tabs": "class A:\n\tdef f(self):\n\t\twith a:\n\t\t\tb()  # here",
    "the module": "def f():\n    pass\nwith a:\n    b()  # here",
    "async": "class A:\n    async def f(self):\n        with a:\n            await b()  # here",
    "one line": "class A:\n    def f(self): a.acquire(); b()\n    def g(self): b()  # here\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_function_around_a_line_is_found_in_any_layout(layout: str) -> None:
    found = held(*at(LAYOUTS[layout]))
    assert [lock for _, lock in found] == ([] if layout == "one line" else ["a"])


def test_of_a_large_module_only_the_function_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = ast.parse

    def noted(text: str) -> ast.Module:
        parsed.append(text.strip())
        return parse(text)

    text, line = at("def g():\n    pass\n" * 500 + LAYOUTS["method"] + "\ndef h():\n    pass" * 500)
    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", noted)
        locks = held(text, line)
    assert locks == ((line - 2, "a"),)
    assert [len(text.splitlines()) for text in parsed] == [5]  # with the `if` around it


@given(st.text(), st.integers(-5, 50))
def test_any_text_is_borne(text: str, line: int) -> None:
    held(text, line)
    idleness(text, line)


def thread(*frames: tuple[str, str]) -> Stack:
    return Stack(tid=1, name="", frames=tuple(Frame(function=name, file=file, line=2) for name, file in frames))


def texts(**files: str) -> Callable[[str], str]:
    return lambda path: files.get(path, "")


SLEEPER = "while True:\n    sleep(1)"
MORE = "def f():\n    g()"
RUN = ("Thread.run", "/lib/threading.py")


@pytest.mark.parametrize(
    ("frames", "answer"),
    [
        ([("watch", "sleeper"), RUN], LOOP),
        ([("Event.wait", "/lib/threading.py"), ("watch", "sleeper"), RUN], LOOP),
        ([("watch", "sleeper"), ("f", "more"), RUN], LOOP),
        ([("nap", "nap"), ("watch", "sleeper"), RUN], LOOP),
        ([("f", "more"), ("watch", "sleeper"), RUN], None),
        ([("nap", "nap"), ("f", "more"), RUN], None),
        ([("unknown", "nowhere"), RUN], None),
        ([RUN], ONCE),
        ([("Event.wait", "/lib/threading.py"), ("Timer.run", "/lib/threading.py")], None),
        ([("watch", "sleeper"), ("_WorkItem.run", "futures/thread.py"), ("_worker", "futures/thread.py"), RUN], None),
        ([], None),
    ],
)
def test_whether_a_thread_can_only_sleep(frames: list[tuple[str, str]], answer: Idleness | None) -> None:
    sources = texts(sleeper=SLEEPER, more=MORE, nap="def nap():\n    sleep(1)")
    assert idlers.idleness(thread(*frames), sources) == answer


def test_the_source_of_a_program_in_an_argument_is_read(tmp_path: Path) -> None:
    program = "import sys\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        assert until(lambda: source_text(process.pid, "<string>")) == program
    large = tmp_path / "large.py"
    large.write_text("#" * 500_001)
    assert source_text(os.getpid(), str(large)) == ""
    large.write_text("pass")
    assert source_text(os.getpid(), str(large)) == "pass"
    assert source_text(os.getpid(), str(tmp_path)) == ""
