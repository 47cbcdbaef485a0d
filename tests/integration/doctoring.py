"""What tests of the doctor share: a machine that differs, and probes in a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from cvdebug.core.doctor.check import Answer, Machine, Status

from .driver import DEADLINE_S

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def with_module(folder: Path, name: str, text: str) -> Machine:
    """A machine whose children import another module of this name."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(textwrap.dedent(text))
    return Machine(environment={**os.environ, "PYTHONPATH": str(folder)})


def with_shell(folder: Path, line: str) -> Machine:
    """A machine whose children start after a line of shell."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\n{line}\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return Machine(python=str(script))


def elsewhere(probe: str, *before: str, prologue: str = "") -> Answer:
    """What a probe answers in a process of its own, started by `before`."""
    code = f"""
import json, os, resource, subprocess
from cvdebug.core.doctor import check, container, limits, room, tracing
{prologue}
answer = {probe}
print(json.dumps([answer.status, answer.found, answer.hint]))
"""
    line = [*before, sys.executable, "-c", code]
    done = subprocess.run(line, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    status, found, hint = json.loads(done.stdout)
    return Answer(Status(status), found, hint)


def tool(name: str, *trial: str) -> str:
    """A program that works here, or the test is skipped."""
    found = shutil.which(name)
    if found is None or (trial and subprocess.run([found, *trial], capture_output=True, check=False).returncode):
        pytest.skip(f"{name} cannot be used here")
    return found
