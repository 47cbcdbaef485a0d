"""Python, its packages, and the ways to start workers. Packages and start methods are tried in children."""

from __future__ import annotations

import json
import platform
import sys
import sysconfig

from ..versions import version
from . import children
from .check import Answer, Machine, failed, note, ok, warning

LEAST = (3, 11)
TRIED = (3, 13)  # the newest that the tests have run on
# What a run imports, by the names of its modules: the first four are shown. The core's own imports are not among them.
PACKAGES = ("numpy", "tokenizers", "psycopg", "pgvector", "httpx", "pypdfium2", "docx", "chardet", "psutil", "elftools",
            "rust_demangler")  # fmt: skip
_DISTRIBUTIONS = {"docx": "python-docx", "elftools": "pyelftools", "rust_demangler": "rust-demangler"}
_TRY_S = 12.0
_ROOM = "Locks need a writable /dev/shm, workers processes and open files: see the checks below."

# It says what it is about to import, so that one that kills the interpreter is known.
_IMPORTS = """
import importlib, sys
for name in sys.argv[1:]:
    print("trying", name, flush=True)
    importlib.import_module(name)
"""

_STARTS = "cvdebug.core.doctor.start_trial"


def settings(machine: Machine) -> Answer:
    """Whether CVDEBUG_* variables and the config file can be read."""
    if machine.trouble:
        return failed(machine.trouble, "Correct it: every run would end with this sentence.")
    return ok("variables and files can be read")


def interpreter(machine: Machine) -> Answer:
    """The interpreter that runs this."""
    return judged_interpreter(
        sys.version_info[:3],
        platform.python_implementation(),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    )


def judged_interpreter(found: tuple[int, ...], implementation: str, *, free_threaded: bool) -> Answer:
    """What follows from a version such as (3, 11, 4)."""
    name = f"{implementation} {'.'.join(map(str, found))}"
    if found[:2] < LEAST:
        return failed(f"{name}, and {'.'.join(map(str, LEAST))} is the oldest that works", "Install a newer Python.")
    if implementation != "CPython":
        return warning(f"{name}: py-spy reads the stacks of CPython alone", "Run cvdebug with CPython.")
    if free_threaded:
        return warning(f"{name} without the GIL: never tried", "Run cvdebug with the ordinary build.")
    if found[:2] > TRIED:
        return note(f"{name}: newer than any that cvdebug was tested with")
    return ok(name)


def packages(machine: Machine) -> Answer:
    """Imports each in one child, as a subject would."""
    reply = children.ask(
        [machine.python, "-P", "-c", _IMPORTS, *PACKAGES], environment=machine.environment, deadline_s=_TRY_S
    )
    tried = [line.removeprefix("trying ") for line in reply.out.splitlines() if line.startswith("trying ")]
    if reply.code == 0:
        return ok(", ".join(f"{_distribution(name)} {version(_distribution(name))}" for name in PACKAGES[:4]))
    name = _distribution(tried[-1]) if tried else "Python"
    if reply.code is None:
        return failed(f"the import of {name} did not end within {_TRY_S:g} s", "Is its folder on a slow disk?")
    if reply.code < 0:
        return failed(
            f"the import of {name} kills Python: {reply.last_words}",
            "It may be built for another processor, or be refused threads or memory.",
        )
    return failed(f"{name} cannot be imported: {reply.last_words}", f"pip install --force-reinstall {name}")


def start_methods(machine: Machine) -> Answer:
    """Starts a worker by each method, with a lock between the two."""
    reply = children.ask([machine.python, "-P", "-m", _STARTS], environment=machine.environment, deadline_s=_TRY_S)
    if reply.code is None:
        return failed(f"a worker did not end within {_TRY_S:g} s", "Is the machine overloaded?")
    if reply.code:
        return failed(f"multiprocessing does not work: {reply.last_words}", _ROOM)
    known, default, trouble = json.loads(reply.out)
    words = reply.last_words if reply.err else ""  # a worker that ended said why there
    return judged_methods(known, default, {method: f"{why} {words}".strip() for method, why in trouble.items()})


def judged_methods(known: list[str], default: str, trouble: dict[str, str]) -> Answer:
    """What follows from the methods that there are, the default one, and the trouble by method."""
    if trouble:
        return failed("; ".join(f"{method} does not work: {why}" for method, why in trouble.items()), _ROOM)
    if "fork" not in known:
        return warning(
            f"{', '.join(known)}, but no fork on this system", "Without fork there is no fork deadlock to show."
        )
    return ok(f"{', '.join(known)} work; Python's own default is {default}")


def _distribution(module: str) -> str:
    return _DISTRIBUTIONS.get(module, module)
