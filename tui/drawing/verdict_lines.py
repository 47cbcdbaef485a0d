"""The Verdict panel in lines: what hangs, how sure that is, who, why, and the ways out. Pure: a scene in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ...core import events as ev
from ...core.errors import sentences
from ...core.model import Culprit
from ...core.scenario import DEFAULT
from ...core.state import RunState
from ..actions import can_fix
from ..scene import Scene
from ..text import counted
from .lines import BLANK, Line, entry, heading, plain
from .targets import Opens, Target, of_thread, targets
from .thread_words import marked, status

MARKS = {"proven": "✗", "certain": "✗", "likely": "✗", "not-hung": "✓", "undecided": "?"}
TONES = {"proven": "bad", "certain": "bad", "likely": "warn", "not-hung": "good"}
MOST_CULPRITS = 8
MOST_EVIDENCE = 80
_BULLET = ("• ", "accent")
_IN = ("  ", "")
# By outcome: what is said of an end without a verdict.
_ENDS = {"completed": ("✓ It completed, and nothing hung.", "good"), "failed": ("✗ It failed.", "bad")}
_WHEN_IT_HANGS = "Evidence, cause and ways out stand here as soon as something hangs."


class Told(NamedTuple):
    """What the lines depend on; equal ones give equal lines."""

    found: tuple[ev.VerdictReached, ...]  # the one that is shown in full first
    rank: int  # its place among all, from 0
    jumps: tuple[tuple[Target, ...], ...]  # of its culprits and evidence
    culprits: tuple[str, ...]  # the state of each
    after: tuple[str, str]  # how the fix went, with its tone
    can_fix: bool
    calm: tuple[tuple[str, str], ...]  # while there is no verdict: texts with their tones
    taken_back: tuple[str, ...]
    not_seen: tuple[str, ...]


def told(scene: Scene, opened: str) -> Told:
    """What there is to say of a scene; `opened` is the slug of the verdict that a person chose, "" for none."""
    state = scene.state
    found = ranked(state)
    rank = next((number for number, verdict in enumerate(found) if verdict.slug == opened), 0)
    front = found[rank : rank + 1]
    return Told(
        found=(*front, *found[:rank], *found[rank + 1 :]),
        rank=rank,
        jumps=tuple(jumps for verdict in front for jumps in _jumps(verdict, state)),
        culprits=tuple(_status(culprit, state) for verdict in front for culprit in verdict.culprits[:MOST_CULPRITS]),
        after=_after(front[0], state) if front else ("", ""),
        can_fix=can_fix(scene),
        calm=() if found else tuple(_calm(scene)),
        taken_back=tuple(slug for slug in state.withdrawn if slug not in {verdict.slug for verdict in found}),
        not_seen=state.not_seen,
    )


def ranked(state: RunState) -> tuple[ev.VerdictReached, ...]:
    """The verdicts, the most certain first, of those the newest; after a fix what was fixed stays in front."""
    fixed = [said for said in state.withdrawn.values() if _was_fixed(said, state)]
    return tuple(verdict for group in (fixed, state.verdicts.values()) for verdict in sorted(group, key=_order))


def laid_out(said: Told, width: int) -> list[Line]:
    """The lines, `width` cells wide."""
    if said.found:
        lines = [*_verdict(said, width), *_others(said, width)]
    else:
        lines = [line for text, tone in said.calm for line in entry(text, width, tone=tone)]
    for slug in said.taken_back:
        lines += entry(f"taken back, as the tree moved after all: {slug}", width, tone="dim")
    for sentence in said.not_seen:
        lines += entry(f"not seen: {sentence}", width, tone="dim")
    return lines


def headline(verdict: ev.VerdictReached) -> tuple[tuple[str, str], ...]:
    """Certainty with its symbol, and the slug where it says more."""
    tone = TONES.get(verdict.certainty, "warn")
    word = f"{MARKS.get(verdict.certainty, '?')} {verdict.certainty.upper()}"
    return ((word, tone), (f"  {verdict.slug}" if verdict.slug != verdict.certainty else "", "accent"))


def ways_out(verdict: ev.VerdictReached, width: int, *, can_fix: bool) -> Iterator[Line]:
    """Each fix with its cost and command."""
    if not verdict.fixes:
        return
    name = "Ways out" if verdict.hangs else "What can be done"
    yield heading(name, "press f: cvdebug can carry one out" if can_fix else "")
    for number, remedy in enumerate(verdict.fixes, 1):
        yield from entry(
            remedy.title, width, lead=(f"{number} ", "accent"), tone="bold", rest=(f"cost: {remedy.cost}", "")
        )
        if remedy.command:
            yield from entry(remedy.command, width, lead=("  $ ", "dim"), tone="accent")


def paragraph(name: str, text: str, width: int) -> Iterator[Line]:
    """A section of one text; nothing when that is empty."""
    if text:
        yield heading(name)
        yield from entry(text, width, lead=_IN)


def _verdict(said: Told, width: int) -> Iterator[Line]:
    verdict, count = said.found[0], len(said.found)
    more = f"   {said.rank + 1} of {count}, the others are below" if count > 1 else ""
    yield plain(*headline(verdict), (more, "dim"))
    yield from entry(verdict.title, width, tone="bold")
    if said.after[0]:
        yield from entry(said.after[0], width, tone=said.after[1])
    elif verdict.hangs:
        yield plain((("f fixes it   " if said.can_fix else "") + "e says why   g draws who waits for whom", "accent"))
    culprits = verdict.culprits[:MOST_CULPRITS]
    yield from _culprits(culprits, len(verdict.culprits) - len(culprits), said, width)
    if verdict.evidence:
        yield heading("Evidence")
    jumps = said.jumps[len(culprits) :]
    for text, found in zip(verdict.evidence[:MOST_EVIDENCE], jumps, strict=True):
        yield from entry(text, width, lead=_BULLET, targets=found)
    if len(verdict.evidence) > MOST_EVIDENCE:
        yield from entry(f"and {len(verdict.evidence) - MOST_EVIDENCE} lines more", width, lead=_IN, tone="dim")
    yield from paragraph("Why", verdict.explanation, width)
    yield from ways_out(verdict, width, can_fix=said.can_fix and not said.after[0])
    yield from paragraph("What would disprove it", verdict.disproof, width)
    if verdict.links:
        yield heading("See")
        for link in verdict.links:
            yield from entry(link, width, lead=_IN, tone="accent")


def _culprits(shown: Sequence[Culprit], more: int, said: Told, width: int) -> Iterator[Line]:
    from ...core.diagnose.case import who  # imported here: the first frame needs no eyes

    if shown:
        yield heading("Who", "Enter goes there" if any(said.jumps) else "")
    for culprit, mark, jumps in zip(shown, said.culprits, said.jumps, strict=False):
        tone = "bad" if mark == "✗ dead" else "dim"
        yield from entry(who(culprit), width, lead=(f"  {mark:<9} ", tone), targets=jumps)
    if more:
        yield from entry(f"and {more} more", width, lead=_IN, tone="dim")


def _others(said: Told, width: int) -> Iterator[Line]:
    if said.found[1:]:
        yield BLANK
        yield heading("Also said", "Enter opens one")
    for verdict in said.found[1:]:
        word = f"{MARKS.get(verdict.certainty, '?')} {verdict.certainty.upper():<9} "
        lead = (word, TONES.get(verdict.certainty, "dim"))
        yield from entry(verdict.title, width, lead=lead, targets=(Opens(verdict.slug),))


def _jumps(verdict: ev.VerdictReached, state: RunState) -> Iterator[tuple[Target, ...]]:
    for culprit in verdict.culprits[:MOST_CULPRITS]:
        yield of_thread(culprit.pid, culprit.tid, state)
    for text in verdict.evidence[:MOST_EVIDENCE]:
        yield targets(text, state, verdict.culprits)


def _status(culprit: Culprit, state: RunState) -> str:
    """The state of a culprit in symbol and word, as far as it is known."""
    process, thread = state.processes.get(culprit.pid), state.threads.get(culprit.tid)
    if process is None or thread is None:
        return "· gone"
    return marked(status(process, thread))


def _order(verdict: ev.VerdictReached) -> tuple[int, float]:
    known = list(MARKS)
    certainty = known.index(verdict.certainty) if verdict.certainty in known else len(known)
    return certainty, -verdict.at


def _was_fixed(verdict: ev.VerdictReached, state: RunState) -> bool:
    """Whether a verdict was there when the fix began; a new hang after it is not meant."""
    return state.fix_started is not None and verdict.hangs and verdict.at <= state.fix_started.at


def _after(verdict: ev.VerdictReached, state: RunState) -> tuple[str, str]:
    """What became of a hang by the fix, with its tone."""
    if state.fix_started is None or not _was_fixed(verdict, state):
        return "", ""
    by = state.fix_started.strategy
    if state.status == "completed":
        return f"✓ fixed by {by}", "good"
    if state.status == "fixing":
        return f"▶ being fixed by {by}", "good"
    return (f"✗ the fix by {by} failed", "bad") if state.status == "failed" else ("", "")


def _calm(scene: Scene) -> Iterable[tuple[str, str]]:
    """What is said while there is no verdict."""
    state = scene.state
    if state.finished is not None:
        yield _ENDS.get(state.finished.outcome, ("· It ended without a verdict.", ""))
        if state.finished.outcome != "completed":
            yield sentences(state.finished.what, state.finished.hint), ""
            return
    elif state.status == "starting" or not state.processes:
        yield ("○ The first look is under way. " if scene.followed else "○ It starts. ") + _WHEN_IT_HANGS, ""
        return
    else:
        yield from _watched(scene)
    classic = scene.kind == "run" and state.scenario == DEFAULT
    if classic and state.parallelism != "on" and state.start_method == "fork":
        yield "To see it hang: p turns TOKENIZERS_PARALLELISM on, and Enter runs it again.", "accent"


def _watched(scene: Scene) -> Iterator[tuple[str, str]]:
    state = scene.state
    if state.status == "stuck":
        yield "○ Nothing moves any more; the cause is being looked for.", "warn"
    else:
        yield "✓ Nothing hangs.", "good"
    many = f"{counted(len(state.processes), 'process')} and {counted(len(state.threads), 'thread')}"
    ago_s = int(max(0.0, scene.now - state.sampled_at))
    yield f"{many} are watched; the last change was seen {f'{ago_s} s' if ago_s else 'less than 1 s'} ago.", ""
    yield f"{_WHEN_IT_HANGS} A proof needs no timeout: it is tried when a process comes to rest.", "dim"
