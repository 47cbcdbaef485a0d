"""What the rules say of themselves, in lines: one class of hangs in full, or all of them to choose from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...core import events as ev
from ...core.model import HANGS
from ...core.state import RunState
from .fork_story import story
from .lines import BLANK, Line, entry, heading, plain
from .targets import Opens
from .verdict_lines import MARKS, TONES, headline, paragraph, ways_out

if TYPE_CHECKING:
    from ...core.diagnose.card import Card

_GROUPS = (
    ("Hung", HANGS),
    ("Not hung, whatever it looks like", ("not-hung",)),
    ("Not known", ("undecided",)),
)
# From this width on a class is one line; so many cells its slug gets then.
_WIDE, _SLUG_CELLS = 90, 28
_BULLET = ("• ", "accent")
_IN = ("  ", "")


def page(card: Card, said: ev.VerdictReached | None, state: RunState, width: int) -> Iterator[Line]:
    """Everything about one class; `said` is the verdict of this run that is of it."""
    if said is None:
        best = f"{card.certainty} at best" if card.certainty in HANGS else str(card.certainty)
        mark = f"{MARKS[card.certainty]} {best}"
        yield plain((mark, TONES.get(card.certainty, "warn")), (f"  {card.slug}", "accent"))
    else:
        yield plain(*headline(said), ("  said of this run", "dim"))
    yield from entry(card.title, width, tone="bold")
    if said is not None:
        yield BLANK
        yield from story(said, state, width)
    yield BLANK
    yield from paragraph("Why it happens", card.explanation, width)
    yield BLANK
    yield heading("When it is said", "all of these must hold")
    for condition in card.conditions:
        yield from entry(condition, width, lead=_BULLET)
    yield BLANK
    yield from ways_out(said or _example(card), width, can_fix=False)
    yield BLANK
    yield from paragraph("What would disprove it", card.disproof, width)
    if card.links:
        yield BLANK
        yield heading("See")
        for link in card.links:
            yield from entry(link, width, lead=_IN, tone="accent")


def classes(cards: Iterable[Card], said: Iterable[str], width: int) -> Iterator[Line]:
    """All classes; those of the slugs `said` are marked."""
    known, said_now = sorted(cards, key=lambda card: card.slug), frozenset(said)
    for number, (name, certainties) in enumerate(_GROUPS):
        if number:
            yield BLANK
        yield heading(name)
        for certainty in certainties:
            for card in (card for card in known if card.certainty == certainty):
                yield from _choice(card, width, now=card.slug in said_now)


def _choice(card: Card, width: int, *, now: bool) -> Iterator[Line]:
    """A class to choose: its title beside its name, or below where there is no room."""
    tone = TONES.get(card.certainty, "dim")
    name = f"{MARKS[card.certainty]} {card.certainty:<9} "
    said = "  ◀ said of this run" if now else ""
    targets = (Opens(card.slug),)
    if width >= _WIDE:
        yield from entry(card.title + said, width, lead=(f"{name}{card.slug:<{_SLUG_CELLS}} ", tone), targets=targets)
    else:
        yield from entry(
            card.slug + said, width, lead=(name, tone), tone="accent", targets=targets, rest=(card.title, "")
        )


def _example(card: Card) -> ev.VerdictReached:
    """The card as a verdict on nothing in particular."""
    return ev.VerdictReached(
        slug=card.slug,
        title=card.title,
        certainty=card.certainty,
        culprits=(),
        evidence=(),
        explanation=card.explanation,
        fixes=card.fixes,
        disproof=card.disproof,
        links=card.links,
    )
