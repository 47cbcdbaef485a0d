"""The steps of the tour, in the order of the story: it runs, it hangs, that is proven, it is fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...core.model import Phase
from ...core.state import RunState

HUNG = ("stuck", "proven deadlock")


class Step(NamedTuple):
    """`panel` is the ID of what is pointed at. `done` says that what the step asks for has happened; then `then`."""

    panel: str
    title: str
    text: str
    done: Callable[[RunState], bool] = lambda state: False
    then: str = ""


def _embedded(state: RunState) -> bool:
    return state.phases[Phase.EMBED].status in ("done", "kept")


def _switched_on(state: RunState) -> bool:
    return state.parallelism == "on" and state.status != "completed"


def _hangs(state: RunState) -> bool:
    return state.status in HUNG


def _proven(state: RunState) -> bool:
    return any(said.certainty == "proven" for said in state.verdicts.values())


def _fixes(state: RunState) -> bool:
    return state.fix_started is not None


def _completed(state: RunState) -> bool:
    return state.status == "completed"


STEPS: tuple[Step, ...] = (
    Step(
        "top",
        "A real pipeline runs in front of you",
        "It cuts 400 CVs into chunks, embeds them in two worker processes and stores the vectors in PostgreSQL. "
        "The top line says in one word how the run stands, whether TOKENIZERS_PARALLELISM is on, and when "
        "something moved last.",
    ),
    Step(
        "phases",
        "Eight phases, one after the other",
        "Workers embed; then, in cleanup, each counts the tokens of its texts and the pool is shut down. Only "
        "after that are vectors converted, stored, indexed and verified. Remember cleanup: it looks harmless.",
        _embedded,
        "The embeddings are at 100 %.",
    ),
    Step(
        "top",
        "Now make it hang",
        "Press p until the switch says on, and Enter to run again with it. Nothing else changes: same code, same "
        "data. With the switch off, as it was, the run just ends well.",
        _switched_on,
        "It runs with TOKENIZERS_PARALLELISM on.",
    ),
    Step(
        "phases",
        "Embeddings 100 %, and nothing stored",
        "This is the famous hang. People suspect the database, because storing never begins. But the phase that "
        "is stuck is the one before: cleanup.",
        _hangs,
        "It hangs in cleanup.",
    ),
    Step(
        "tree",
        "Who is there, and what each thread waits for",
        "The subject is the pipeline's main process; workers are its children, made by fork. Arrow keys choose a "
        "row, Enter shows its stack, / filters. ▶ runs, ○ waits, ✗ can never go on.",
    ),
    Step(
        "verdict",
        "Proven, not guessed",
        "No timeout was needed. Two looks at the kernel's own tables show that each worker has one thread, which "
        "waits on a private futex: only a thread of the same process could wake it, and there is none. Enter on a "
        "line jumps.",
        _proven,
        "The deadlock is proven.",
    ),
    Step(
        "stack",
        "The line of code, and what lies below it",
        "encode_batch hands its work to a pool of native threads. The parent had started that pool; the fork "
        "copied its memory but not its threads. g draws who waits for whom, e explains it with the PIDs of this "
        "run.",
    ),
    Step(
        "verdict",
        "Fix it without embedding anything twice",
        "Press f. You see the plan before anything happens: which processes end, how many vectors are kept, what "
        "is done anew, and what each strategy costs here. Enter carries it out.",
        _fixes,
        "The fix is under way.",
    ),
    Step(
        "phases",
        "It finishes: everything kept, nothing computed twice",
        "Cleanup runs again without the dead pool; then the vectors are stored and indexed in one transaction, "
        "and verified. For your own programs: cvdebug attach PID, cvdebug watch -- COMMAND. s lists other ways to "
        "hang.",
        _completed,
        "Completed.",
    ),
)
