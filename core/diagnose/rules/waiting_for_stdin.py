"""A program that asks a question on its standard input, which nobody answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...model import Certainty, DescriptorKind, Remedy, Verdict, WaitKind
from ...observe.calls import NAMES
from .. import facts, places
from ..card import Card
from ..case import Case, is_call

CARD = Card(
    slug="waiting-for-stdin",
    title="It asks a question and waits for an answer on its standard input",
    certainty=Certainty.LIKELY,
    explanation=(
        "The main thread reads its standard input to get an answer from a person: a confirmation, a password, a choice."
        " In a job that nobody watches, in CI, under nohup or behind a pipe, the question may never have been seen, and"
        " the answer never comes. Prompts go to standard error or to a buffered output, so that the log often does not"
        " show them."
    ),
    conditions=(
        "The root's main thread reads descriptor 0; it has no children, and its other threads only sleep or never ran"
        " Python: else it may be a server that runs until somebody presses Enter.",
        "Descriptor 0 is a terminal and the program is no interpreter at its prompt; or it is a pipe or socket, and the"
        " line or the frames show a prompt with a question.",
    ),
    fixes=(
        Remedy(title="Answer it", cost="none: the program goes on", command="type the answer where the program runs"),
        Remedy(
            title="Give the answer when it starts",
            cost="the question is not asked any more",
            command="a flag such as --yes, or: yes | PROGRAM",
        ),
        Remedy(
            title="Start it without a standard input, so that a question fails at once",
            cost="the program ends with EOFError where it asks",
            command="PROGRAM < /dev/null",
        ),
    ),
    disproof="Input arrives by itself: somebody types, or the writer of the pipe sends a line.",
)

_POLLS = frozenset({"select", "pselect6", "poll", "ppoll"})
_READS = frozenset({"read", "readv"})
# Interpreters and shells at their prompt: they wait for work, not for an answer.
_PROMPTS = ("/code.py", "/_pyrepl/", "/IPython/", "/ptpython/", "/bpython/", "/prompt_toolkit/", "/asyncio/__main__.py")
# Libraries that ask: getpass, click and typer, rich.
_QUESTIONS = (
    ("/getpass.py", ("unix_getpass", "fallback_getpass", "_raw_input")),
    ("/click/termui.py", ("prompt", "confirm", "prompt_func", "visible_prompt_func", "hidden_prompt_func")),
    ("/rich/prompt.py", ("ask", "__call__", "get_input")),
    ("/rich/console.py", ("input",)),
)
# `input()` without a question may read a list of commands; "press Enter to stop" keeps a program that works.
_INPUT = re.compile(r"(?<![\w.])input\(\s*[^)\s](?!.*\b(stop|quit|exit|end|shut)\b)", re.IGNORECASE)


def match(case: Case) -> Iterator[Verdict]:
    """Likely for the root's main thread."""
    root = case.root
    if root not in case.processes or not _reads_stdin(case) or case.moved(root):
        return
    link = next((item.link for item in case.first.descriptors.get(root, ()) if item.fd == 0), "")
    terminal = case.wait(root).kind is WaitKind.TERMINAL or link.startswith(("/dev/pts/", "/dev/tty", "/dev/console"))
    if not _is_alone(case) or _at_prompt(case) or not (_asks(case) or (terminal and case.python_frames(root))):
        return
    yield CARD.verdict(
        culprits=[case.culprit(root)],
        evidence=(
            f"{case.who(root)}: reads descriptor 0, which is {link or 'not visible'} (/proc/PID/fd/0)",
            *facts.of_wait(case, root),
            *facts.of_stillness(case, root),
            *facts.of_stack(case, root),
        ),
    )


def _reads_stdin(case: Case) -> bool:
    """A terminal with line editing is waited for in select, and then read."""
    thread = case.thread(case.root)
    if thread is None or thread.syscall is None:
        return False
    name = NAMES.get(thread.syscall[0], "")
    if name in _READS:
        return thread.syscall[1] == 0
    own = next((item for item in case.first.descriptors.get(case.root, ()) if item.fd == 0), None)
    polled = name in _POLLS and thread.syscall[2 if "poll" in name else 1] == 1
    return polled and own is not None and own.kind is DescriptorKind.OTHER and not case.wait(case.root).timed


def _is_alone(case: Case) -> bool:
    """Whether nothing else of the program has something to do while its main thread asks."""
    others = [thread.tid for thread in case.threads(case.root) if thread.tid != case.root]
    return not case.children.get(case.root) and all(_only_sleeps(case, tid) for tid in others)


def _only_sleeps(case: Case, tid: int) -> bool:
    wait = case.wait(tid)
    sleeps = wait.kind is WaitKind.SLEEP or (wait.kind is WaitKind.FUTEX and (wait.timed or tid not in case.stacks))
    return sleeps and case.cpu_share(tid) == 0


def _at_prompt(case: Case) -> bool:
    """Whether an interpreter or a program with commands waits for the next one. That of a breakpoint is a question."""
    files = [frame.file for frame in case.python_frames(case.root)]
    commands = any(file.endswith("/cmd.py") for file in files) and not places.in_debugger(case, case.root)
    return commands or any(part in file for file in files for part in _PROMPTS)


def _asks(case: Case) -> bool:
    frames = case.python_frames(case.root)
    library = any(is_call(frame, file, *names) for frame in frames for file, names in _QUESTIONS)
    return library or bool(_INPUT.search(case.sources.get(case.root, "")))
