"""The embedded server's life: started once, joined, taken over after a kill, stopped with the last user."""

from __future__ import annotations

import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from cvdebug.core.database import binaries, embedded, locks, settings
from cvdebug.core.database.account import account_for_this_process
from cvdebug.core.database.connection import connect
from cvdebug.core.database.embedded import EmbeddedServer, stop
from cvdebug.core.errors import DatabaseError

from .db_rows import ask, load_rows, make_rows, make_table

# A user of the server in a process of its own: says when it has it, and gives it back at the end of its stdin.
USER = """
import sys
from pathlib import Path
from cvdebug.core.database.embedded import EmbeddedServer
print("begun", flush=True)
server = EmbeddedServer.acquire(Path(sys.argv[1]))
print(server.dsn, flush=True)
sys.stdin.read()
server.release()
print("released", flush=True)
"""


@pytest.fixture
def home(open_folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = open_folder / f"home-{os.getpid()}-{abs(hash(request.node.nodeid)) % 10**8}"
    yield path
    until(lambda: not processes_of(path), "no process of the server left")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def until(holds: Callable[[], object], what: str, deadline_s: float = 30.0) -> None:
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, f"still waiting: {what}"
        time.sleep(0.01)


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that works in a folder below `home`: PostgreSQL's change into their data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            where, words = process.cwd(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        if where.startswith(f"{home}/") or (f"{home}/" in words and "postgres" in words):
            found.append(process)
    return found


def start_user(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", USER, str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def line(user: subprocess.Popen[str], deadline_s: float = 60.0) -> str:
    assert user.stdout is not None
    assert select.select([user.stdout], [], [], deadline_s)[0], "the user said nothing"
    return user.stdout.readline().strip()


def joined(home: Path) -> tuple[subprocess.Popen[str], str]:
    user = start_user(home)
    assert line(user) == "begun"
    dsn = line(user)
    assert dsn.startswith("postgresql://")
    return user, dsn


def finish(user: subprocess.Popen[str]) -> None:
    user.communicate(timeout=60)
    assert user.returncode == 0


def kill(user: subprocess.Popen[str]) -> None:
    os.killpg(user.pid, signal.SIGKILL)
    user.communicate()


def answers(dsn: str) -> bool:
    try:
        connect(dsn, run="tests", role="probe").close()
    except DatabaseError:
        return False
    return True


def test_it_starts_from_nothing_and_stops_with_its_user(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        with connect(server.dsn, run="tests", role="probe") as connection:
            row = connection.execute("SELECT current_setting('listen_addresses'), current_database()").fetchone()
        assert row == ("", "cvdebug")
        assert server.psql_path.exists()
    assert not processes_of(home)


def test_its_folders_are_private(home: Path) -> None:
    with EmbeddedServer.acquire(home):
        account = account_for_this_process()
        for folder in (home / "data-18", home / "run"):
            found = folder.stat()
            assert stat.S_IMODE(found.st_mode) == 0o700
            assert found.st_uid == account.uid
        assert home.stat().st_mode & 0o007 == 0
        assert home.stat().st_uid == os.geteuid()


def test_parents_keep_their_modes(open_folder: Path, home: Path) -> None:
    before = [folder.stat().st_mode for folder in home.parents]
    with EmbeddedServer.acquire(home):
        pass
    assert [folder.stat().st_mode for folder in home.parents] == before


def test_the_postmaster_is_detached(home: Path) -> None:
    with EmbeddedServer.acquire(home):
        pid = int((home / "data-18" / "postmaster.pid").read_text().split()[0])
        assert os.getsid(pid) != os.getsid(0)
        assert os.getpgid(pid) != os.getpgid(0)
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        targets = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        assert not any(target.endswith(("users.lock", "start.lock")) for target in targets)
        assert psutil.Process(pid).ppid() != os.getpid()


def test_the_last_of_two_users_stops_it(home: Path) -> None:
    first, dsn = joined(home)
    second, same = joined(home)
    assert same == dsn
    finish(first)
    assert answers(dsn)
    finish(second)
    assert not processes_of(home)


def test_two_that_start_at_once_share_one_server(home: Path) -> None:
    users = [start_user(home) for _ in range(3)]
    for user in users:
        assert line(user) == "begun"
    assert len({line(user) for user in users}) == 1
    for user in users:
        finish(user)
    assert not processes_of(home)


def test_after_a_kill_the_next_takes_it_over(home: Path) -> None:
    killed, dsn = joined(home)
    kill(killed)
    assert answers(dsn)
    with EmbeddedServer.acquire(home) as server:
        assert server.dsn == dsn
    assert not processes_of(home)


def test_a_killed_postmaster_is_replaced(home: Path) -> None:
    with EmbeddedServer.acquire(home):
        pid = int((home / "data-18" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        with EmbeddedServer.acquire(home) as second:
            assert answers(second.dsn)


def test_a_pid_used_again_does_not_keep_it_from_starting(home: Path) -> None:
    with EmbeddedServer.acquire(home):
        pass
    pid_file = home / "data-18" / "postmaster.pid"
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        pid_file.write_text(f"{bystander.pid}\n{home / 'data-18'}\n1\n5432\n{home / 'run'}\n\n0 0\nready\n")
        with EmbeddedServer.acquire(home) as server:
            assert answers(server.dsn)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize(
    "sign",
    [
        "initdb-*/base/1",
        *(pytest.param(at, marks=pytest.mark.slow) for at in ("initdb-*/PG_VERSION", "data-18", "run/.s.PGSQL.5432")),
    ],
)
def test_a_kill_while_it_is_made_harms_nobody(home: Path, sign: str) -> None:
    user = start_user(home)
    assert line(user) == "begun"
    try:
        until(lambda: any(home.glob(sign)), f"{sign} appears")
    finally:
        kill(user)
    with EmbeddedServer.acquire(home) as server:
        assert answers(server.dsn)
    until(lambda: not any(home.glob("initdb-*")) or _clean(home), "leftovers removed")


def _clean(home: Path) -> bool:
    """An initdb that outlived its caller may still have worked: the next start removes what it left."""
    with EmbeddedServer.acquire(home):
        return not any(home.glob("initdb-*"))


def test_an_interrupt_while_it_starts_leaves_nothing(home: Path) -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + USER
    user = subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert line(user) == "begun"
    until(lambda: any(home.glob("initdb-*/PG_VERSION")), "initdb runs")
    os.killpg(user.pid, signal.SIGINT)
    _, words = user.communicate(timeout=60)
    assert "KeyboardInterrupt" in words
    until(lambda: not processes_of(home), "initdb ended")
    assert not any(home.glob("initdb-*"))


def test_pinned_it_outlives_its_users_until_stop(home: Path) -> None:
    with EmbeddedServer.acquire(home) as server:
        server.pin()
        dsn = server.dsn
    assert answers(dsn)
    assert stop(home)
    assert not processes_of(home)


@pytest.mark.slow
def test_stop_leaves_it_to_those_who_use_it(home: Path) -> None:
    user, dsn = joined(home)
    assert not stop(home)
    assert answers(dsn)
    finish(user)


@pytest.mark.slow
def test_a_long_path_gets_a_short_socket(home: Path) -> None:
    long = home / ("a" * 80) / ("b" * 80)
    with EmbeddedServer.acquire(long) as server:
        assert answers(server.dsn)
        run = server._layout.run
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
    run.rmdir()


def test_a_link_in_the_place_of_a_folder_is_refused(home: Path, tmp_path: Path) -> None:
    home.symlink_to(tmp_path)
    with pytest.raises(DatabaseError, match="not a folder"):
        EmbeddedServer.acquire(home)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_root_is_told_when_its_account_cannot_pass(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(DatabaseError, match="cannot enter") as caught:
        EmbeddedServer.acquire(tmp_path / "closed" / "home")
    assert "CVDEBUG_HOME" in caught.value.hint
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


# Becomes nobody only when all is imported: nobody may not be able to read the interpreter's folder.
AS_NOBODY = """
import os
EmbeddedServer.acquire(Path(sys.argv[2])).release()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_root_and_an_ordinary_user_have_a_server_each(open_folder: Path, home: Path) -> None:
    theirs = open_folder / f"nobody-{os.getpid()}"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 65534, 65534)
    code = USER.replace('print("begun"', f'{AS_NOBODY}\nprint("begun"')
    with EmbeddedServer.acquire(home) as server:
        user = subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(theirs / "home"), str(home)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd="/",
        )  # fmt: skip
        assert line(user) == "begun"
        dsn = line(user)
        assert answers(dsn)
        assert dsn != server.dsn
        assert {process.uids().real for process in processes_of(theirs)} == {65534}
        finish(user)
        assert answers(server.dsn)
    assert not processes_of(theirs)


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_programs_that_the_account_cannot_reach_are_copied(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = binaries.installed()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in (f"{binaries.PACKAGE}/{original.name}", f"{binaries.PACKAGE}.libs"):
        shutil.copytree(original.parent.parent / folder, closed / folder)
    monkeypatch.setattr(binaries, "installed", lambda: closed / binaries.PACKAGE / original.name)
    with EmbeddedServer.acquire(home) as server:
        assert answers(server.dsn)
        pid = int((home / "data-18" / "postmaster.pid").read_text().split()[0])
        program = Path(os.readlink(f"/proc/{pid}/exe"))
        assert program.is_relative_to(home)
        assert program.stat().st_uid == 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_small_shm_still_builds_in_parallel(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "shm_bytes", lambda: 64 << 20)
    with EmbeddedServer.acquire(home) as server:
        make_table(server.dsn)
        assert load_rows(server.dsn, make_rows(500)).rows == 500
        assert ask(server.dsn, "SELECT current_setting('dynamic_shared_memory_type')") == [("mmap",)]


def test_an_old_processor_is_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("flags : fpu sse2 avx\n")
    monkeypatch.setattr(embedded, "_CPU", cpu)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(DatabaseError, match="AVX2"):
        EmbeddedServer.acquire(home)
    assert not home.exists()


def test_a_lock_is_free_as_soon_as_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    fd = locks.share(path)
    assert locks.is_held(path)
    waiting = threading.Thread(target=locks.unshare, args=(fd,))
    with pytest.raises(DatabaseError, match="held"), locks.exclusive(path, deadline_s=0.1, purpose="test"):
        pass
    waiting.start()
    with locks.exclusive(path, deadline_s=10, purpose="test"):
        pass
    waiting.join()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs to be root, with unshare")
def test_a_disk_that_is_full_is_the_reason_that_is_said(open_folder: Path) -> None:
    home, code = open_folder / "full", "from cvdebug.core.database.embedded import EmbeddedServer as e; e.acquire()"
    home.mkdir(mode=0o755)
    mount = 'mount -t tmpfs -o size=30m,mode=755 none "$1" || exit 77; exec "$2" -P -c "$3"'
    line = ["unshare", "--mount", "sh", "-c", mount, "sh", str(home), sys.executable, code]
    run = subprocess.run(
        line, env={**os.environ, "CVDEBUG_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    if run.returncode == 77 or "unshare failed" in run.stderr:
        pytest.skip("nothing can be mounted here")
    assert "initdb failed" in run.stderr
    assert "No space left on device" in run.stderr
