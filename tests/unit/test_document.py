"""Findings as JSON, as a report and as a tree of lines, from cases made by hand: whatever the foreign texts hold."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from cvdebug.core.diagnose.case import Case
from cvdebug.core.diagnose.closure import close
from cvdebug.core.diagnose.document import document, markdown
from cvdebug.core.diagnose.investigate import Finding
from cvdebug.core.diagnose.outline import brief, outline, plain
from cvdebug.core.diagnose.picture import picture
from cvdebug.core.model import (
    Certainty,
    Culprit,
    Frame,
    ProcessSnapshot,
    Remedy,
    Stack,
    ThreadSnapshot,
    TreeSnapshot,
    Verdict,
    Wait,
    WaitKind,
)
from hypothesis import given
from hypothesis import strategies as st

FUTEX = (202, 0x7F00, 0x189, 0, 0, 0, 0, 0x7FFC, 0x7FFD)
ANY_TEXT = st.text(st.characters(), max_size=30)  # surrogates, as undecodable names give, and control characters too


def process(pid: int, ppid: int, *command: str, threads: int = 1, forked: bool = False) -> ProcessSnapshot:
    tids = range(pid, pid + threads)
    return ProcessSnapshot(
        pid=pid, ppid=ppid, start_ticks=100, state="S", cmdline=command, rss_bytes=5_000_000, signals_caught=0,
        frozen=False, forked=forked,
        threads=tuple(
            ThreadSnapshot(tid=tid, name="python", state="S", syscall=FUTEX, wchan="", switches=7, cpu_ticks=3)
            for tid in tids
        ),
    )  # fmt: skip


def lock_wait(pid: int, threads: int) -> Wait:
    text = "waits on a private futex (op 0x189: a Python lock, or another semaphore), which only its own can wake"
    return Wait(kind=WaitKind.FUTEX, text=text, pids=(pid,) if threads > 1 else (), op=0x189)


def finding(*processes: ProcessSnapshot, verdicts: tuple[Verdict, ...] = (), **more: Any) -> Finding:
    waits = {thread.tid: lock_wait(each.pid, len(each.threads)) for each in processes for thread in each.threads}
    first = TreeSnapshot(
        root=processes[0].pid if processes else 1, at_s=1.0, processes=processes, waits=waits,
        programs={each.pid: "python3.11" for each in processes},
    )  # fmt: skip
    second = TreeSnapshot(root=first.root, at_s=1.3, processes=processes)
    case = Case(first=first, second=second, closure=close(first, second), **more)
    return Finding(case=case, verdicts=verdicts, taken_s=0.3)


def verdict(text: str = "PID 7: waits") -> Verdict:
    return Verdict(
        slug="deadlock", title="It hangs", certainty=Certainty.PROVEN, culprits=(Culprit(pid=7, tid=7, role=text),),
        evidence=(text,), explanation="Because.", fixes=(Remedy(title="End it", cost="its work", command=text),),
        disproof="A switch.", links=("https://example.org/1",),
    )  # fmt: skip


def test_the_schema_has_its_keys_even_when_the_tree_is_gone() -> None:
    found = document(finding())
    assert found.keys() == {"schema", "root", "taken_s", "verdicts", "graph", "processes", "not_seen"}
    assert (found["processes"], found["verdicts"]) == ([], [])
    assert "is gone" in markdown(finding(), command="cvdebug", at=0.0)


def test_a_thread_says_whether_it_lives_and_why() -> None:
    stacks = {7: Stack(tid=7, name="MainThread", frames=(Frame(function="f", file="/x/a.py", line=3),))}
    found = document(finding(process(7, 1, "python", "x.py"), stacks=stacks, sources={7: "lock.acquire()"}))
    (shown,) = found["processes"]
    (thread,) = shown["threads"]
    assert (thread["tid"], thread["name"], thread["live"]) == (7, "MainThread", False)
    assert thread["why"] == "nobody could wake it"
    assert thread["stack"][0] == {"function": "f", "file": "/x/a.py", "module": "", "line": 3, "native": False}
    assert (shown["started"], shown["rss_bytes"], shown["cpu"]) == (None, 5_000_000, 0.0)
    assert found["graph"]["stuck"] == ["7/7"]
    dated = document(finding(process(7, 1, "python")), booted_at=0.0)
    assert dated["processes"][0]["started"].startswith("1970-01-01T00:00:0")


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_json_and_report_are_valid_whatever_the_names_hold(one: str, two: str, three: str) -> None:
    stacks = {7: Stack(tid=7, name=one, frames=(Frame(function=two, file=three, line=1),))}
    made = finding(
        process(7, 1, one, two, three), verdicts=(verdict(two),), stacks=stacks, sources={7: three}, roles={7: one},
        no_stacks={7: two},
    )  # fmt: skip
    text = json.dumps(document(made), ensure_ascii=False)
    assert json.loads(text.encode("utf-8"))["root"] == 7
    report = markdown(made, command=one, at=0.0)
    assert report.encode("utf-8")
    fences = [line for line in report.splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0
    assert not any(ord(c) < 32 and c != "\n" for c in report)


def test_no_secret_gets_into_any_of_them() -> None:
    secret = "hunter2pass"
    command = ("python", "--password", secret, f"--token={secret} {secret}", f"postgresql://u:{secret}@h/d")
    made = finding(
        process(7, 1, *command), process(8, 7, *command, forked=True),
        verdicts=(verdict(f"api_key={secret}"),), sources={7: f'connect(password="{secret}")'},
    )  # fmt: skip
    report = markdown(made, command=f"cvdebug attach --dsn postgresql://u:{secret}@h/d", at=0.0)
    assert secret not in json.dumps(document(made)) + report
    assert "--password ***" in report
    assert made.case.first.processes[0].cmdline == command  # only what is shown changes


def test_a_report_has_the_tree_the_graph_and_the_raw_look() -> None:
    made = finding(process(7, 1, "python", "x.py"), process(9, 7, "python", "x.py", forked=True), verdicts=(verdict(),))
    report = markdown(made, command="cvdebug attach 7", at=0.0)
    assert report.startswith("# deadlock: It hangs\n")
    assert "1970-01-01 00:00:00 UTC" in report
    assert "└─ PID 9  ✗ dead  state S, 0% CPU, 5 MB  forked from PID 7" in report
    assert "-> nobody" in report
    assert "dead end: 9/9" in report
    assert '"start_ticks": 100' in report
    assert "<https://example.org/1>" in report


def test_many_alike_are_one_line() -> None:
    workers = [process(100 + n, 7, "python", "x.py", forked=True) for n in range(5)]
    rows = list(outline(picture(finding(process(7, 1, "python", "x.py", threads=9), *workers))))
    lines = [plain(row) for row in rows]
    assert sum("8 threads (8, 9, 10, 11, 12, 13 and 2 more)" in line for line in lines) == 1
    assert sum(line.startswith("└─ PID 100  ✗ dead") for line in lines) == 1
    assert any("and 4 processes more like PID 100: PID 101, 102, 103, 104" in line for line in lines)
    assert len(lines) == 6


def test_an_orphan_stands_beside_the_root() -> None:
    rows = list(outline(picture(finding(process(7, 1, "python"), process(9, 1, "sleep", "60")))))
    assert [row.name for row in rows if row.kind == "process"] == ["PID 7", "PID 9"]
    assert all(row.lead == "" for row in rows if row.kind == "process")


def test_why_stacks_are_missing_is_said_once_for_all_of_one_reason() -> None:
    reasons = {7: "the kernel refused a look at process 7", 9: "the kernel refused a look at process 9", 11: "gone"}
    shown = picture(finding(process(7, 1), process(9, 7), process(11, 7), no_stacks=reasons))
    assert shown.not_seen == (
        "the stacks of PID 7, 9: the kernel refused a look at process PID",
        "the stacks of PID 11: gone",
    )


def test_a_wait_is_told_in_fewer_words() -> None:
    futex = "waits on a private futex (op 0x89: Rust's standard library (tokenizers, polars), or C++), which only x"
    assert brief(futex) == "waits on a private futex (op 0x89, Rust's standard library)"
    assert brief(f"{futex}, with a timeout").endswith("library), with a timeout")
    assert brief("waits on a private futex (op 0x5), which only x") == "waits on a private futex (op 0x5)"
    assert brief("waits for a or b or c or d") == "waits for a or b or 2 more"
    assert brief("sleeps") == "sleeps"


@given(ANY_TEXT)
def test_no_wait_makes_it_fail(text: str) -> None:
    brief(text)


def test_surroundings_are_told_where_something_was_seen() -> None:
    from cvdebug.core.observe.surroundings import Room, Stranger, Surroundings

    around = Surroundings(
        shared_memory=Room(path="/dev/shm", free_bytes=1, total_bytes=2),
        strangers={5: Stranger(pid=5, title="x --password=hunter2pass", first=process(5, 1), second=None)},
    )
    found = document(finding(process(7, 1), surroundings=around))
    assert found["surroundings"] == {
        "shared_memory": {"path": "/dev/shm", "free_bytes": 1, "total_bytes": 2},
        "strangers": [{"pid": 5, "title": "x --password=***"}],
    }
    assert msgspec.json.encode(found)
