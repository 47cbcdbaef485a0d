"""The subject: the pipeline's main process, started with exec below the guardian.

    python -P -m cvdebug.core.pipeline.subject EVENTS_FD  < spec.json

It reads its SubjectSpec from standard input, runs the phases in order and writes events, nothing else, to EVENTS_FD.
What it prints goes to standard output, which the observer turns into log lines. Exit code 0: done; 1: it failed, and
a `failed` event says why.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import msgspec

from .. import lastwords
from ..errors import CvdebugError, ExitCode, of_system
from ..events import Failed, Log, SubjectStarted
from ..model import Phase
from . import embed, prepare, serving, store, trouble
from .content import Content
from .emitter import Emitter
from .kit import Kit
from .pool import Pool
from .queued import QueuedProcesses
from .spec import SubjectSpec, WorkerSpec
from .standard import StandardPool


def main() -> int:
    """Runs one attempt; the exit code."""
    emitter = Emitter.adopt(int(sys.argv[1]))
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=SubjectSpec)
    _forget_stdin()
    lastwords.register(Path(spec.spool), spec.observer_pid)
    settings = spec.settings
    emitter.emit(
        SubjectStarted(
            pid=os.getpid(),
            start_method=settings.start_method,
            workers=settings.workers,
            parallelism=settings.parallelism,
            strategy=spec.strategy,
        )
    )
    steps = Steps(spec, emitter)
    try:
        steps.run()
    except (CvdebugError, OSError) as error:
        said = error if isinstance(error, CvdebugError) else of_system(error)
        emitter.emit(Failed(what=said.what, hint=said.hint, phase=steps.phase))
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001  (a bug of ours: one sentence for the user, the trace into the log)
        emitter.emit(Log(text=traceback.format_exc(), level="warning"))
        hint = "This is a defect of cvdebug; please report it with the log."
        emitter.emit(Failed(what=f"{type(error).__name__}: {error}", hint=hint, phase=steps.phase))
        return ExitCode.FAILED
    finally:
        emitter.flush()
    return ExitCode.COMPLETED


def _forget_stdin() -> None:
    """Workers must not inherit a pipe that once held a password."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


class Steps:
    """The phases in order; `phase` is the one that runs."""

    def __init__(self, spec: SubjectSpec, emitter: Emitter) -> None:
        self.spec = spec
        self.emitter = emitter
        self.spool = Content.open(Path(spec.spool))
        self.phase = Phase.LOAD

    def run(self) -> None:
        """Runs every phase; what an earlier attempt finished is kept."""
        settings, spool, emitter = self.spec.settings, self.spool, self.emitter
        spool.check()
        met = serving.meet(spool, settings, emitter)
        prepare.load(spool, settings, emitter)
        self.phase = Phase.TOKENIZE
        kit = prepare.tokenize(spool, settings, emitter, met.served if met else None)
        if met is not None:
            serving.report_accents(met, kit.tokenizer, emitter)
        self.phase = Phase.EMBED
        self._embed(kit)
        embed.require_whole(spool)
        self.phase = Phase.CONVERT
        store.convert_all(spool, emitter)
        self.phase = Phase.STORE
        store.Loader(spool, self.spec, emitter, kit, self._at).run()
        spool.save(stage="verified")

    def _at(self, phase: Phase) -> None:
        self.phase = phase

    def _embed(self, kit: Kit) -> None:
        spool, settings, emitter = self.spool, self.spec.settings, self.emitter
        if embed.nothing_left(spool, emitter):
            return
        spec = embed.worker_spec(spool, settings, emitter, self.spec.observer_pid)
        pool = Pool(spec, kit, emitter, os.getpid(), trouble=trouble.of(self.spec))
        embed.embed_and_clean_up(spool, settings, emitter, pool, kit, apart=self._apart(spec, kit))

    def _apart(self, spec: WorkerSpec, kit: Kit) -> embed.Embed | None:
        """What embeds instead of the usual workers, where the scenario has such a fault. It strikes once: a later
        attempt, a fix or a resumption, does without, and a plain Pool is killed in no more.
        """
        fault, first = self.spec.settings.fault, self.spec.strategy is None
        if fault == "kill-worker":
            return StandardPool(spec, kit, self.emitter, kill=first and self.spool.progress()[0] == 0).embed
        if fault == "queue-join" and first:
            return QueuedProcesses(spec, kit, self.emitter, self.spool).embed
        return None


if __name__ == "__main__":
    sys.exit(main())
