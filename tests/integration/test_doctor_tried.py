"""What the doctor tries in children, on real parts: imports, starts, forks, dumps. Each check fails really."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest
from cvdebug.core.doctor import forks, python, tracing
from cvdebug.core.doctor.check import Machine, Status
from cvdebug.core.errors import ObserveError

from .doctoring import as_root, elsewhere, tool, with_module, with_shell
from .driver import environment_of, processes, until

# -- Python


def test_packages_that_work() -> None:
    assert python.packages(Machine()).status is Status.OK


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ImportError('libgomp.so.1: cannot open')", "numpy cannot be imported: ImportError: libgomp.so.1"),
        ("import os; os.kill(os.getpid(), 4)", "the import of numpy kills Python: it was ended by SIGILL"),
    ],
)
def test_a_package_that_cannot_be_imported(tmp_path: Path, text: str, said: str) -> None:
    answer = python.packages(with_module(tmp_path, "numpy", text))
    assert answer.status is Status.FAILED
    assert answer.found.startswith(said)


def test_a_package_whose_import_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "_TRY_S", 1.0)
    answer = python.packages(with_module(tmp_path, "numpy", "import time; time.sleep(600)"))
    assert answer.status is Status.FAILED
    assert "the import of numpy did not end" in answer.found


def test_every_start_method_works_here() -> None:
    answer = python.start_methods(Machine())
    assert answer.status is Status.OK
    assert "fork, spawn, forkserver work" in answer.found


def test_start_methods_without_descriptors(tmp_path: Path) -> None:
    answer = python.start_methods(with_shell(tmp_path, "ulimit -n 6"))
    assert answer.status is Status.FAILED
    assert "Too many open files" in answer.found


# -- tokenizers


def test_the_fork_is_really_tried_and_its_child_ended() -> None:
    mark = f"doctor-{os.getpid()}"
    answer = forks.tokenizers(Machine(environment={**os.environ, "MARK": mark}))
    assert answer.status is Status.NOTE
    assert "hangs in its own" in answer.found
    assert "spawn" in answer.hint
    assert not [pid for pid in processes() if mark.encode() in environment_of(pid)]


def test_tokenizers_that_cannot_be_imported(tmp_path: Path) -> None:
    answer = forks.tokenizers(with_module(tmp_path, "tokenizers", "raise ImportError('no wheel for this machine')"))
    assert answer.status is Status.FAILED
    assert "no wheel for this machine" in answer.found


LOOKALIKE = """
    __version__ = "9.9"
    class Encoding:
        offsets = [(0, 1)]
    class Tokenizer:
        from_str = staticmethod(lambda text: Tokenizer())
        def no_truncation(self): pass
        def no_padding(self): pass
        def encode(self, text, add_special_tokens=True): return Encoding()
        def encode_batch(self, texts):
            import os
            {batch}
"""


@pytest.mark.parametrize(
    ("batch", "status", "said"),
    [
        ("return []", Status.NOTE, "9.9: a forked child encodes a batch without hanging"),
        ("None if os.getppid() == int(os.environ['DOCTOR']) else os.abort()", Status.FAILED, "ended with -6"),
    ],
)
def test_what_the_child_does_counts_and_no_version(tmp_path: Path, batch: str, status: Status, said: str) -> None:
    machine = with_module(tmp_path, "tokenizers", LOOKALIKE.format(batch=batch))
    answer = forks.tokenizers(Machine(environment={**machine.environment, "DOCTOR": str(os.getpid())}))
    assert answer.status is status, answer
    assert said in answer.found


def test_a_trial_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "_TRIAL_S", 1.0)
    machine = with_module(tmp_path, "tokenizers", LOOKALIKE.format(batch="import time; time.sleep(600)"))
    machine = Machine(environment={**machine.environment, "MARK": f"doctor-{os.getpid()}"})
    assert forks.tokenizers(machine).status is Status.FAILED
    until(lambda: not [pid for pid in processes() if machine.environment["MARK"].encode() in environment_of(pid)])


# -- py-spy


def test_py_spy_really_reads_children() -> None:
    answer = tracing.py_spy(Machine())
    assert answer.status is not Status.FAILED, answer
    assert "py-spy" in answer.found
    assert "CAP_SYS_PTRACE" in answer.found


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty folder, and no scripts beside this Python."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_no_py_spy(bare_path: Path) -> None:
    with pytest.raises(ObserveError, match="there is no py-spy") as caught:
        tracing.py_spy(Machine())
    assert "pip install --force-reinstall py-spy" in caught.value.hint


def test_a_py_spy_that_gives_no_answer(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_DUMP_S", 0.3)
    (bare_path / "py-spy").write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    (bare_path / "py-spy").chmod(0o755)
    answer = tracing.py_spy(Machine())
    assert answer.status is Status.FAILED
    assert "within 0.3 s" in answer.found


@as_root
def test_py_spy_without_the_right_to_trace() -> None:
    """A child that does not let itself be looked at, and a root who may not look at it nevertheless."""
    setpriv = tool("setpriv", "--bounding-set=-sys_ptrace", "true")
    undumpable = 'tracing._TARGET.replace("print(", "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print(")'
    answer = elsewhere(
        f"tracing.py_spy(check.Machine(), target={undumpable})",
        setpriv,
        "--bounding-set=-sys_ptrace",
        "--inh-caps=-all",
    )
    assert answer.status is Status.FAILED
    assert "the kernel refused" in answer.found
    assert "CAP_SYS_PTRACE: no" in answer.found
    assert answer.hint
