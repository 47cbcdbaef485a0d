"""The report of a run, or of a tree that was followed, in Markdown: a fold over its events put into words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from .markdown import fenced, frame_line, graph
from .markdown import verdict as verdict_lines
from .phases import PhaseState
from .secrets import redact
from .seen import ProcessSeen, ThreadSeen
from .state import RunState

_MARKS = {"done": "done", "kept": "kept from before", "running": "running", "waiting": "waiting", "failed": "FAILED"}


def markdown(state: RunState, *, command: str) -> str:
    """The whole report. `command` is what was run to have it; its secrets are hidden."""
    lines = [*_headline(state, command), *_outcome(state), *_phases(state), *_verdicts(state)]
    if state.hung is not None:
        lines += ["What follows is from the moment when the fix began.", ""]
    seen = state.hung or state
    lines += [*_tree(seen), *fenced_section("## Stacks, innermost frame first", stacks(state) or ["none were read"])]
    if seen.graph is not None:
        lines += graph(seen.graph)
    lines += fenced_section("## Versions", [f"{name} {version}" for name, version in state.versions.items()])
    if state.not_seen:
        lines += fenced_section("## What was not seen", list(state.not_seen))
    return "\n".join(lines) + "\n"


def stacks(state: RunState) -> list[str]:
    """Every stack that was read, as plain lines, with when it was read; of a run that was fixed, those of its hang."""
    lines: list[str] = []
    state = state.hung or state
    for tid, read in state.stacks.items():
        how = "native" if read.native else "without stopping it"
        how = f"written by the process itself ({read.trouble.rstrip('.')})" if read.trouble else how
        lines.append(f"PID {read.pid}, thread {tid}, {read.stack.name}, read at {clock(read.at)}, {how}:")
        lines += [f"    {frame_line(frame)}" for frame in read.stack.frames]
    lines += [f"PID {pid}: {why}" for pid, why in state.no_stacks.items()]
    return lines


def fenced_section(heading: str, lines: list[str]) -> list[str]:
    """A heading and a block of lines as they are."""
    return [heading, *fenced(lines or ["nothing"])]


def clock(at: float) -> str:
    """A time, in seconds since the epoch, as a date and time in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _headline(state: RunState, command: str) -> Iterator[str]:
    verdicts = list(state.verdicts.values())
    if verdicts:
        yield f"# {verdicts[0].slug}: {verdicts[0].title}"
    elif state.attached:
        yield f"# Process {state.attached.pid}"
    else:
        yield f"# {state.scenario}: {state.status}"
    yield ""
    what = f"run {state.run}" if state.run else f"PID {state.subject_pid} and its tree"
    yield f"cvdebug looked at {what} from {clock(state.started_at)} on, with:"
    yield from fenced([redact(command)])


def _outcome(state: RunState) -> Iterator[str]:
    yield "## How it stands"
    lines = [f"state: {state.status}"]
    if state.parallelism:
        lines.append(
            f"TOKENIZERS_PARALLELISM: {state.parallelism}; {state.workers_wanted} workers by {state.start_method}"
        )
    lines.append(f"last progress: {clock(state.moved_at)}" if state.moved_at else "nothing has happened yet")
    if state.fix_started is not None:
        kept = f"{state.vectors_kept:,} vectors kept, {state.vectors_computed:,} computed anew"
        lines.append(f"fixed by {state.fix_started.strategy}: {kept}")
    if state.hung is not None and state.hung.parallelism != state.parallelism:
        lines.append(f"it hung with TOKENIZERS_PARALLELISM {state.hung.parallelism}")
    if state.finished is not None:
        end = state.finished
        lines.append(f"end: {end.outcome}, exit code {end.exit_code}, after {end.elapsed_s:.1f} s")
        lines += [text for text in (end.what, end.hint) if text]
        lines += [f"next: {end.next_command}"] if end.next_command else []
    yield from fenced(lines)


def _phases(state: RunState) -> list[str]:
    if state.attached:
        return []
    return fenced_section("## Phases", [_phase(name, phase) for name, phase in state.phases.items()])


def _phase(name: str, phase: PhaseState) -> str:
    amount = f"{phase.done:,}/{phase.total:,} {phase.unit}" if phase.total else ""
    took = f"{phase.ended_at - phase.started_at:.1f} s" if phase.ended_at else ""
    return "  ".join(part for part in (f"{name:<9}", f"{_MARKS[phase.status]:<16}", amount, took, phase.detail) if part)


def _verdicts(state: RunState) -> Iterator[str]:
    """Those that stand, and then those that were said and hold no more, as after a fix."""
    for said in (*state.verdicts.values(), *state.withdrawn.values()):
        over = "" if said.slug in state.verdicts else "; it was so, and is over"
        yield f"## Verdict: {said.slug}, {said.certainty}{over}"
        yield f"{said.title}."
        yield ""
        yield from verdict_lines(said)


def _tree(state: RunState) -> list[str]:
    lines = []
    for process in state.processes.values():
        lines.append(_process(process))
        lines += [_thread(thread) for thread in state.threads.values() if thread.pid == process.pid]
    return fenced_section("## Processes and threads", lines or ["no process is left"])


def _process(process: ProcessSeen) -> str:
    facts = f"{process.cpu:.0%} CPU, {process.rss_bytes / 1e6:.0f} MB"
    dead = "  DEAD" if process.dead else ""
    return f"PID {process.pid} {process.role}{dead}  state {process.state}, {facts}  {' '.join(process.command)}"


def _thread(thread: ThreadSeen) -> str:
    parts = [part for part in (thread.status, thread.wait, thread.why, thread.place) if part]
    return f"    {thread.tid} {thread.name}: {'; '.join(parts)}"
