"""What each check of the doctor concludes from files, limits and versions: it fails for the reason that it names."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from cvdebug.core.doctor import (
    cgroups,
    container,
    database,
    faults,
    forks,
    limits,
    processor,
    python,
    room,
    screen,
    tracing,
)
from cvdebug.core.doctor.check import Machine, Status
from cvdebug.core.errors import ObserveError
from cvdebug.core.settings import Settings

OWN_SERVER = Settings(dsn="postgresql://127.0.0.1:1/x")
MB = 1024 * 1024


def write(root: Path, **files: str) -> Machine:
    """A machine whose files, by paths with __ for /, hold these texts."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(root=root)


def test_settings_that_cannot_be_read() -> None:
    assert python.settings(Machine(trouble="CVDEBUG_WORKERS cannot be 'many'")).status is Status.FAILED
    assert python.settings(Machine()).status is Status.OK


@pytest.mark.parametrize(
    ("version", "implementation", "free", "status"),
    [
        ((3, 10, 14), "CPython", False, Status.FAILED),
        ((3, 11, 0), "PyPy", False, Status.WARNING),
        ((3, 13, 0), "CPython", True, Status.WARNING),
        ((3, 99, 0), "CPython", False, Status.NOTE),
        ((3, 12, 1), "CPython", False, Status.OK),
    ],
)
def test_interpreters(version: tuple[int, ...], implementation: str, free: bool, status: Status) -> None:
    answer = python.judged_interpreter(version, implementation, free_threaded=free)
    assert answer.status is status
    assert ".".join(map(str, version)) in answer.found


def test_start_methods_without_fork() -> None:
    assert python.judged_methods(["spawn"], "spawn", {}).status is Status.WARNING


@pytest.mark.parametrize(
    ("ended", "value", "status", "said"),
    [
        (None, None, Status.NOTE, "hangs in its own"),
        (None, "true", Status.WARNING, "TOKENIZERS_PARALLELISM=true is set here"),
        (None, "false", Status.NOTE, "hangs in its own"),
        (0, "true", Status.NOTE, "without hanging"),
        (-11, None, Status.FAILED, "ended with -11"),
    ],
)
def test_what_a_fork_trial_means(ended: int | None, value: str | None, status: Status, said: str) -> None:
    answer = forks.judged(forks.Outcome(version="0.22.2", ended=ended, waited_s=2.0), value)
    assert answer.status is status
    assert said in answer.found
    assert answer.hint


REFUSED = ObserveError("the kernel refused", hint="Be root.")


@pytest.mark.parametrize(
    ("sight", "status", "said"),
    [
        (tracing.Sight(), Status.OK, "Python and native frames"),
        (tracing.Sight(own=REFUSED, native=REFUSED, other=REFUSED), Status.FAILED, "the kernel refused"),
        (tracing.Sight(other=REFUSED, scope=1, capable=False), Status.WARNING, "no other program"),
        (tracing.Sight(native=REFUSED), Status.WARNING, "no native frames"),
        (tracing.Sight(capable=False), Status.NOTE, "CAP_SYS_PTRACE: no, no Yama"),
        (tracing.Sight(scope=1), Status.OK, "kernel.yama.ptrace_scope=1"),
    ],
)
def test_what_py_spy_saw(sight: tracing.Sight, status: Status, said: str) -> None:
    answer = tracing.judged(sight)
    assert answer.status is status
    assert said in answer.found
    assert answer.hint or status is Status.OK


@pytest.mark.parametrize(
    ("version", "said"),
    [("13.14", "older than 14"), ("14.3", "REINDEX"), ("18.2", "substring()"), ("17.8", "before 17.9"), ("18.4", "")],
)
def test_postgresql_versions_with_known_faults_are_named(version: str, said: str) -> None:
    answer = database.judged_server(version, "somewhere")
    assert said in answer.found
    assert answer.status is (Status.WARNING if said else Status.OK)


@pytest.mark.parametrize(
    ("version", "index", "status", "said"),
    [
        ("0.8.1", "hnsw", Status.WARNING, "CVE-2026-3172"),
        ("0.8.2", "hnsw", Status.WARNING, "VACUUM"),
        ("0.8.6", "hnsw", Status.NOTE, "before 0.8.7"),
        ("0.8.6", "ivfflat", Status.WARNING, "before 0.8.7"),
        ("0.8.7", "ivfflat", Status.OK, "pgvector 0.8.7"),
        ("0.9.0-dev", "hnsw", Status.OK, "0.9.0"),
    ],
)
def test_pgvector_versions_with_known_faults_are_named(version: str, index: str, status: Status, said: str) -> None:
    answer = database.judged_extension(version, there=True, index=index)
    assert answer.status is status
    assert said in answer.found


def test_versions_are_compared_by_their_numbers() -> None:
    assert faults.parsed("16.4 (Debian 16.4-1)") == (16, 4)
    assert faults.parsed("v0.24.0-rc1") == (0, 24, 0)
    assert faults.parsed("unknown") == ()
    assert [fault.fixed for fault in faults.known("0.13.5", faults.OLLAMA)] == [(0, 25)]
    assert not faults.known("0.13.4", faults.OLLAMA)
    assert not faults.known("unknown", faults.PGVECTOR)


OLD = "sse2 pni ssse3 sse4_1 sse4_2 popcnt avx"


def test_a_processor_without_avx2_cannot_run_the_embedded_pgvector(tmp_path: Path) -> None:
    machine = write(tmp_path, proc__cpuinfo=f"processor\t: 0\nflags\t\t: {OLD}\n\nprocessor\t: 1\nflags\t\t: avx2\n")
    answer = processor.judged("x86_64", processor.flags(machine.root), embedded=True)
    assert answer.status is Status.FAILED
    assert "no AVX2" in answer.found
    assert "--dsn" in answer.hint
    assert processor.judged("x86_64", processor.flags(machine.root), embedded=False).status is Status.OK


def test_a_processor_that_numpy_may_not_like() -> None:
    answer = processor.judged("x86_64", {"avx2", "pni"}, embedded=True)
    assert answer.status is Status.WARNING
    assert "ssse3 sse4_1 sse4_2 popcnt" in answer.found


def test_a_processor_that_says_nothing_is_not_judged(tmp_path: Path) -> None:
    assert processor.features(Machine(root=tmp_path)).status is Status.OK


def test_no_shared_memory(tmp_path: Path) -> None:
    answer = room.shared_memory(Machine(root=tmp_path))
    assert answer.status is Status.FAILED
    assert "No such file" in answer.found


def test_shared_memory_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/shm").symlink_to("/proc")
    assert room.shared_memory(Machine(root=tmp_path)).status is Status.FAILED


def filled(monkeypatch: pytest.MonkeyPatch, free_bytes: int, names: int = 1) -> None:
    """Every file system has so much room."""
    found = SimpleNamespace(f_bavail=free_bytes // 4096, f_frsize=4096, f_blocks=10**9, f_favail=names, f_files=10)
    monkeypatch.setattr(os, "statvfs", lambda path: found)


@pytest.mark.parametrize(("free", "status"), [(0, "failed"), (64 * MB, "warning"), (1000 * MB, "ok")])
def test_little_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    filled(monkeypatch, free)
    (tmp_path / "dev/shm").mkdir(parents=True)
    assert room.shared_memory(Machine(root=tmp_path)).status == status
    assert not list((tmp_path / "dev/shm").iterdir())


@pytest.mark.parametrize(("free", "status"), [(50 * MB, "failed"), (1000 * MB, "warning"), (9000 * MB, "ok")])
def test_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    filled(monkeypatch, free)
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path / "not" / "yet"))
    answer = room.disk(Machine())
    assert answer.status == status
    assert (str(tmp_path) in answer.found) == (status != "ok")
    assert not (tmp_path / "not").exists()


def test_a_disk_without_room_for_one_more_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(monkeypatch, 9000 * MB, names=0)
    monkeypatch.setenv("CVDEBUG_HOME", str(tmp_path))
    assert room.disk(Machine()).status is Status.FAILED


def test_a_home_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVDEBUG_HOME", "/proc/nowhere")
    answer = room.disk(Machine())
    assert answer.status is Status.FAILED
    assert "CVDEBUG_HOME" in answer.hint
    assert answer.found.count("cannot be written to") == 2  # runs, and the embedded server
    assert room.disk(Machine(settings=OWN_SERVER)).found.count("cannot be written to") == 1


V2 = "31 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = "40 24 0:30 /box /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


def in_cgroup(root: Path, most: str, used: str, **more: str) -> Machine:
    return write(
        root,
        proc__self__cgroup="0::/a/b\n",
        proc__self__mountinfo=V2,
        **{"sys__fs__cgroup__a__memory.max": most, "sys__fs__cgroup__a__memory.current": used},
        **more,
    )


def test_a_cgroup_above_ours_that_leaves_no_memory(tmp_path: Path) -> None:
    machine = in_cgroup(tmp_path, f"{512 * MB}\n", f"{400 * MB}\n", proc__meminfo="MemAvailable: 9000000 kB\n")
    answer = limits.memory(machine)
    assert answer.status is Status.FAILED
    assert "117 MB left of 537 MB in this cgroup" in answer.found
    assert "--memory" in answer.hint


def test_cached_files_can_be_given_back(tmp_path: Path) -> None:
    machine = in_cgroup(
        tmp_path,
        f"{512 * MB}",
        f"{400 * MB}",
        **{"sys__fs__cgroup__a__memory.stat": f"anon 1\ninactive_file {90 * MB}\n"},
    )
    assert cgroups.memory(machine.root) == cgroups.Room(202 * MB, 512 * MB)


def test_no_limit_in_a_cgroup(tmp_path: Path) -> None:
    assert cgroups.memory(in_cgroup(tmp_path, "max\n", "1\n").root) is None
    assert limits.memory(Machine(root=tmp_path)).status is Status.OK


def test_the_first_version_of_cgroups(tmp_path: Path) -> None:
    machine = write(
        tmp_path,
        proc__self__cgroup="4:memory:/box/inner\n0::/\n",
        proc__self__mountinfo=V1,
        **{
            "sys__fs__cgroup__memory__memory.limit_in_bytes": str(100 * MB),
            "sys__fs__cgroup__memory__memory.usage_in_bytes": str(10 * MB),
            "sys__fs__cgroup__memory__inner__memory.limit_in_bytes": "9223372036854771712",
            "sys__fs__cgroup__memory__inner__memory.usage_in_bytes": "5",
        },
    )
    assert cgroups.memory(machine.root) == cgroups.Room(90 * MB, 100 * MB)


def test_a_cgroup_that_lets_few_processes_start(tmp_path: Path) -> None:
    machine = write(
        tmp_path,
        proc__self__cgroup="0::/a\n",
        proc__self__mountinfo=V2,
        **{"sys__fs__cgroup__a__pids.max": "20\n", "sys__fs__cgroup__a__pids.current": "12\n"},
    )
    answer = limits.processes(machine)
    assert answer.status is Status.FAILED
    assert "8 more of 20 in this cgroup" in answer.found
    assert "--pids-limit" in answer.hint


def test_a_machine_without_memory(tmp_path: Path) -> None:
    answer = limits.memory(write(tmp_path, proc__meminfo="MemTotal: 1 kB\nMemAvailable:  100000 kB\n"))
    assert answer.status is Status.FAILED
    assert "102 MB available" in answer.found


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A root whose /proc shows this process."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/self").symlink_to(str(os.getpid()))
    return tmp_path


def test_a_proc_of_another_namespace(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/self").symlink_to("1")
    answer = container.container(Machine(root=tmp_path))
    assert answer.status is Status.FAILED
    assert "another PID namespace" in answer.found
    assert "mount -t proc" in answer.hint


def test_no_proc(tmp_path: Path) -> None:
    assert container.container(Machine(root=tmp_path)).status is Status.FAILED


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv", ""])
def test_a_container_is_known_by_its_marks(proc: Path, monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    environment = {} if mark else {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    if mark:
        (proc / mark).parent.mkdir(exist_ok=True)
        (proc / mark).touch()
    machine = Machine(root=proc, environment=environment)
    monkeypatch.setattr(tracing, "is_capable", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    answer = container.container(machine)
    assert answer.status is Status.WARNING
    assert "in a container (" in answer.found
    assert "--cap-add SYS_PTRACE" in answer.hint
    assert "--pid=container:" in answer.hint


def test_no_container(proc: Path) -> None:
    answer = container.container(Machine(root=proc, environment={}))
    assert answer.found == "not in a container"
    assert container.RECIPE in answer.hint


@pytest.mark.parametrize(
    ("size", "term", "status"),
    [
        (None, "xterm", Status.NOTE),
        ((80, 24), "dumb", Status.WARNING),
        ((80, 24), "", Status.WARNING),
        ((59, 24), "xterm", Status.WARNING),
        ((80, 24), "xterm", Status.OK),
        ((0, 0), "xterm", Status.OK),  # a terminal that does not know its size
    ],
)
def test_terminals(size: tuple[int, int] | None, term: str, status: Status) -> None:
    assert screen.judged(screen.Terminal(size=size, term=term)).status is status
