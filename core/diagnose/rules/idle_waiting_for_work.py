"""A server, a consumer, an interpreter at its prompt: it is ready, and nobody wants anything."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...model import Certainty, Frame, Remedy, Verdict, WaitKind
from ...observe.calls import NAMES
from ...observe.peers import Connection
from .. import database, facts, pace, places
from ..card import Card
from ..case import Case, is_call

CARD = Card(
    slug="idle-waiting-for-work",
    title="It is idle: it waits for somebody to give it work",
    certainty=Certainty.NOT_HUNG,
    explanation=(
        "The threads that decide wait for something that comes from outside: a connection to a socket that they listen"
        " on, the next request of a client, a message of a queue, a line of input. A server looks like that between"
        " two requests, a worker between two tasks, an interpreter between two commands. Idle threads of a pool look"
        " the same as those of a pool that lost its task; what tells them apart is that here nobody in the tree waits"
        " for a result."
    ),
    conditions=(
        "The root's main thread, or those that it waits for in the end, wait for a connection, a request, a message or"
        " a line of input from outside of the tree.",
        "None of them computes, and no threads stand still with locks, each of them taking another one.",
    ),
    fixes=(
        Remedy(title="Give it work: connect, send a message, write a line", cost="none"),
        Remedy(
            title="If work was sent: see whether it reached the right socket or queue",
            cost="none: it only lists connections",
            command="ss -tlnp",
        ),
    ),
    disproof="A request that was sent and lies unread at this end would show that it does not serve.",
    links=("https://man7.org/linux/man-pages/man2/accept.2.html",),
    yields_to=("busy-worker", "busy-native-threads"),
)

_POLLS = (WaitKind.EPOLL, WaitKind.POLL, WaitKind.SELECT)
_INPUT = (WaitKind.PIPE_READ, WaitKind.SOCKET, WaitKind.TERMINAL, WaitKind.FILE, *_POLLS)
# A question to a person is another matter than a stream of input, or a list of commands.
_ASKS = re.compile(
    r"\b(getpass|prompt|confirm|ask)\(|\binput\(\s*[^)\s](?!.*\b(stop|quit|exit|end|shut)\b)", re.IGNORECASE
)
_STREAM = re.compile(r"\bfor\b.+\bin\b|stdin|fileinput|\.(buffer|raw)\b|\.read(line|lines|1|into|exactly)?\(|\binput\(")
# Where the standard library, and the common interpreters, wait for the next command of a person.
_PROMPTS = (
    ("/code.py", "raw_input", "interact"),
    ("_pyrepl/readline.py", "multiline_input", "readline"),
    ("_pyrepl/simple_interact.py", "run_multiline_interactive_console"),
    ("IPython/terminal/interactiveshell.py", "prompt_for_code", "interact", "mainloop"),
    ("/asyncio/__main__.py", "run"),
    ("/cmd.py", "cmdloop"),
)
# Servers of the standard library between two requests, and workers between two tasks.
_SERVERS = (
    ("http/server.py", "handle_one_request"),
    ("/socketserver.py", "serve_forever", "handle", "finish_request"),
    ("multiprocessing/managers.py", "serve_forever", "serve_client"),
    ("multiprocessing/forkserver.py", "main"),
    ("multiprocessing/resource_tracker.py", "main"),
)
_WORKERS = (
    ("multiprocessing/pool.py", "worker"),
    ("futures/process.py", "_process_worker"),
)
_TAKES_TASK = ("get", "recv", "recv_bytes", "_recv", "_recv_bytes", "__enter__", "wait")
_KERNELS = ("/ipykernel/",)
# Calls of message queues' clients that wait for the next message, by their names in redis, kombu, pika, kafka, nats.
_CONSUMES = frozenset(
    {"blpop", "brpop", "brpoplpush", "blmove", "blmpop", "bzpopmin", "bzpopmax", "xread", "xreadgroup"}
    | {"drain_events", "start_consuming", "process_data_events", "basic_consume", "consume", "next_msg"}
)


def match(case: Case) -> Iterator[Verdict]:
    """Not hung, when those who decide about the root wait for work from outside."""
    if case.root not in case.processes or pace.busy_python(case, case.root) or places.may_be_circle(case):
        return
    found = [(tid, why) for tid in _candidates(case) if (why := _idles(case, tid))]
    if found:
        yield CARD.verdict(
            culprits=[case.culprit(tid) for tid, _ in found],
            evidence=[
                line
                for tid, why in found
                for line in (f"{case.who(tid)}: {why}", f"{case.who(tid)}: {case.wait(tid).text}", *_place(case, tid))
            ],
        )


def _candidates(case: Case) -> tuple[int, ...]:
    """Those who decide; and the main threads of the processes that the root looks after, other than asleep."""
    root, wait = case.root, case.wait(case.root)
    tends = (wait.timed or case.moved(root)) and wait.kind is not WaitKind.SLEEP and not pace.is_remote(case, root)
    tends = tends or wait.kind is WaitKind.SIGNAL
    serves = [pid for pid in case.processes if pid != root and _serves(case, pid)] if tends else []
    return tuple(dict.fromkeys((root, *pace.deciding(case), *serves)))


def _serves(case: Case, tid: int) -> bool:
    return bool(_listens(case, tid))


def _idles(case: Case, tid: int) -> str:
    """What work the thread waits for; empty when it does not."""
    if pace.is_busy(case, tid) or tid not in case.closure.threads or case.is_dead(tid):
        return ""
    if case.moved(tid) and not case.wait(tid).timed:  # it gets work all the time
        return ""
    return _listens(case, tid) or _reads_input(case, tid) or database.listening(case, tid) or _by_frames(case, tid)


def _listens(case: Case, tid: int) -> str:
    connections = pace.connections(case, tid)
    if any(_asks_itself(each) for each in connections):
        return ""
    if case.wait(tid).kind is WaitKind.ACCEPT or any(each.listening for each in connections):
        return "waits for somebody to connect"
    client = any(each.incoming and not each.unread_bytes for each in connections)
    return "waits for the next request of a client that connected to it" if client else ""


def _asks_itself(connection: Connection) -> bool:
    """Whether a process waits for an answer of its own."""
    own = bool(connection.address) and connection.peer_pids == (connection.pid,)
    return own and connection.incoming is False and connection.asked is True


def _reads_input(case: Case, tid: int) -> str:
    """The next command at a prompt, or the next piece of a stream on descriptor 0."""
    wait, seen = case.wait(tid), pace.thread(case, tid)
    if wait.kind not in _INPUT or not wait.external or seen is None or seen.syscall is None:
        return ""
    reads = NAMES.get(seen.syscall[0]) in ("read", "readv", "recvfrom", "recvmsg") and seen.syscall[1] == 0
    polls = wait.kind in _POLLS and _stdin_inode(case, case.owner(tid)) in wait.inodes
    prompts = any(case.inside(tid, *place) for place in _PROMPTS) and not places.in_debugger(case, tid)
    if prompts or _is_prompt(case, tid, reads=reads):
        return "is at a prompt, and waits for the next command"
    line = pace.source(case, tid)
    if (reads and _STREAM.search(line) and not _ASKS.search(line)) or (polls and case.python_frame(tid)):
        return "waits for more on its standard input"
    return ""


def _is_prompt(case: Case, tid: int, *, reads: bool) -> bool:
    """An interpreter without a frame of Python is at its own prompt."""
    pid = case.owner(tid)
    python = case.first.programs.get(pid, "").startswith(("python", "pypy"))
    waits = reads or case.wait(tid).kind in (WaitKind.SELECT, WaitKind.POLL, WaitKind.TERMINAL)
    return python and tid == pid and waits and not case.python_frames(tid) and _was_read(case, pid)


def _was_read(case: Case, pid: int) -> bool:
    """Whether its stacks were read: py-spy shows none of an interpreter that runs no code."""
    return pace.has_stacks(case, pid) or "no Python thread" in case.no_stacks.get(pid, "")


def _stdin_inode(case: Case, pid: int) -> int:
    return next((item.inode for item in case.first.descriptors.get(pid, ()) if item.fd == 0 and item.inode), -1)


def _by_frames(case: Case, tid: int) -> str:
    wait = case.wait(tid)
    frames = case.python_frames(tid)
    if any(_is_in(frames, *place) for place in _SERVERS) and not pace.is_remote(case, tid):
        return "serves, and waits for the next request"
    worker = case.owner(tid) == case.root and any(_is_in(frames, *place) for place in _WORKERS)
    if worker and frames[0].function.rpartition(".")[2] in _TAKES_TASK:
        return "is a worker of a pool, and waits for the next task"
    if any(folder in frame.file for frame in frames for folder in _KERNELS) and wait.kind in _POLLS:
        return "is a kernel of a notebook, and waits for the next cell"
    consumer = next((frame for frame in frames if frame.function.rpartition(".")[2] in _CONSUMES), None)
    if consumer is not None and (wait.external or wait.timed) and wait.kind in (WaitKind.SOCKET, *_POLLS):
        return f"consumes a queue ({consumer.function}), and waits for the next message"
    return ""


def _is_in(frames: tuple[Frame, ...], file: str, *functions: str) -> bool:
    """In the function itself or just below it: not in what a request made it call."""
    return any(is_call(frame, file, *functions) for frame in frames[:5])


def _place(case: Case, tid: int) -> tuple[str, ...]:
    frames = case.python_frames(tid)
    return (f"{case.who(tid)}: in {facts.calls(frames)}",) if frames else ()
