"""Whether this is a container, and how to look into one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import tracing
from .check import Answer, Machine, failed, note, ok, warning

# fs/proc/root.c, PROC_PID_INIT_INO: the PID namespace of the whole machine.
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
_MARKS = {".dockerenv": "Docker", "run/.containerenv": "Podman"}
RECIPE = "docker run --pid=container:NAME --cap-add SYS_PTRACE"
_INTO = f"To look into a container: {RECIPE} ..., or --pid=host for all."


def container(machine: Machine) -> Answer:
    """What this system is, and whether its /proc shows the processes that it has."""
    if sys.platform != "linux":
        return note(f"{sys.platform}: only attach and ps work, and prove nothing", "A run needs Linux.")
    if trouble := _proc_trouble(machine.root / "proc"):
        return failed(trouble, "Mount it for this PID namespace: mount -t proc proc /proc, or unshare --mount-proc.")
    kind = kind_of(machine)
    if not kind:
        return ok("not in a container", _INTO)
    capable = tracing.is_capable()
    found = f"in a container ({kind}), {'with' if capable else 'without'} CAP_SYS_PTRACE"
    if capable:
        return ok(found, _INTO)
    bad = note if os.geteuid() else warning  # an ordinary user never has it
    hint = f"Start it with --cap-add SYS_PTRACE. {_INTO}"
    return bad(f"{found}: only this user's processes can be looked at", hint)


def kind_of(machine: Machine) -> str:
    """What kind of container this is; empty for none."""
    for mark, kind in _MARKS.items():
        if (machine.root / mark).exists():
            return kind
    if "KUBERNETES_SERVICE_HOST" in machine.environment:
        return "Kubernetes"
    if named := machine.environment.get("container"):  # systemd-nspawn, LXC, Podman
        return named
    try:
        first = os.readlink(machine.root / "proc/self/ns/pid") == _FIRST_PID_NAMESPACE
    except OSError:
        return ""
    return "" if first else "a PID namespace of its own"


def _proc_trouble(proc: Path) -> str:
    """Why /proc cannot be relied on; empty when it can."""
    try:
        shown = os.readlink(proc / "self")
    except OSError as error:
        return f"/proc does not show this process: {error.strerror}"
    if shown != str(os.getpid()):
        return f"/proc is that of another PID namespace: it calls this process {shown}, and it is {os.getpid()}"
    return ""
