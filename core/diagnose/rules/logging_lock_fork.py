"""Logging in a forked child: a lock on a record's way was held by a thread of the parent at the fork."""

from __future__ import annotations

from collections.abc import Iterator

from ...model import Certainty, Remedy, Verdict
from .. import forks, remedies
from ..card import Card
from ..case import Case

CARD = Card(
    slug="logging-lock-fork",
    title="A forked process logs, and waits for a lock that another thread held in logging at the fork",
    certainty=Certainty.PROVEN,
    explanation=(
        "A thread of the parent was writing a log record at the moment of the fork. fork() copied the locks of that"
        " moment, locked, but not the thread that would have released them; the first record that the child logs"
        " waits for them for ever. Python makes the handlers' own locks anew in the child, but not what lies behind"
        " them: the mutex of a queue.Queue under a QueueHandler, a lock that a handler class made for itself, and the"
        " lock inside of the buffered file that a handler writes to. The slower the log's sink, the longer the lock is"
        " held, and the more often a fork meets it."
    ),
    conditions=(
        "The process was forked, and none of its threads can ever run again; most often it has only one.",
        "A thread waits without a timeout on one of CPython's locks (futex op 0x189), and no notification is awaited.",
        "The innermost frame of the logging package is where a handler emits, flushes or closes.",
        "No Python signal handler could end the wait.",
    ),
    fixes=(
        Remedy(
            title="Configure logging anew in the worker, before its first record",
            cost="the worker has handlers of its own; what the inherited ones had buffered is not written by it",
            command="logging.config.dictConfig(...) in the initializer of the pool",
        ),
        remedies.SPAWN,
        Remedy(
            title="Send the workers' records through a multiprocessing.Queue or a socket",
            cost="a listener in the parent has to write them; its queue remakes its locks after a fork",
            command="logging.handlers.QueueHandler(multiprocessing.Queue())",
        ),
        Remedy(
            title="Make a handler's own lock anew in the child",
            cost="only for handler classes of one's own; each of their locks has to be known",
            command="os.register_at_fork(after_in_child=...)",
        ),
    ),
    disproof=(
        "A context switch of the thread, or another thread of the process that holds the lock, would disprove it. If"
        " the handler logs while it emits, and so takes its own lock twice, the fork is not the cause."
    ),
    links=(
        "https://github.com/python/cpython/issues/50970",
        "https://github.com/python/cpython/pull/4071",
        "https://github.com/python/cpython/pull/13170",
    ),
    beside_idlers=True,
    beside_handlers=True,
)


def match(case: Case) -> Iterator[Verdict]:
    """Proven for each dead forked thread that takes a Python lock on a record's way through a handler."""
    for wait in forks.waits(case):
        if forks.in_python_lock(case, wait) and forks.in_logging(case, wait):
            yield forks.verdict(CARD, case, wait)
