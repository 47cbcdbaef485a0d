"""The main screen as a whole: top line, places, focus, zoom, pause, themes, footer, and every size."""

from __future__ import annotations

import itertools
import time

import pytest
from cvdebug.core import events as ev
from cvdebug.core.history import History
from cvdebug.core.model import Phase, Strategy
from cvdebug.core.seen import ProcessSeen
from cvdebug.core.state import RunState, fold
from cvdebug.tui.actions import ACTIONS, FOOTER_KEYS, footer
from cvdebug.tui.keys import cap
from cvdebug.tui.logbook import LogBook
from cvdebug.tui.scene import Scene, Selection
from cvdebug.tui.themes import PALETTES, next_theme
from cvdebug.tui.widgets.footer import KEPT, laid_out
from textual.color import Color

from . import events
from .stage import SIZES, START, Stage, stage

ATTACHED = events.stamped([ev.Attached(pid=events.SUBJECT, command=("python", "train.py"), versions={}),
                           events.tree(dead=False)])  # fmt: skip
COMPLETED = events.stamped([*events.beginning("off"), ev.RunFinished(outcome="completed", exit_code=0, elapsed_s=2.0)])


def title(show: Stage, name: str) -> str:
    """The title line that holds `name`, from its beginning there."""
    text = next(text for text in show.lines[2:] if f" {name} " in text and ("─" in text or "━" in text))
    return text[max(0, text.index(f" {name} ") - 1) :]


def has_keys(show: Stage, name: str) -> bool:
    return title(show, name).startswith("━")


async def click(show: Stage, text: str, *, line: int | None = None) -> None:
    """Clicks on the first place where `text` stands."""
    y = next(y for y, shown in enumerate(show.lines) if text in shown) if line is None else line % len(show.lines)
    await show.pilot.click(offset=(show.lines[y].index(text) + 1, y))
    await show.tick()


# the top line


async def test_the_top_line_says_everything_at_every_size() -> None:
    async with stage(events.hang(), now=START + 75) as show:
        for size in SIZES.values():
            await show.pilot.resize_terminal(*size)
            await show.tick()
            first, second = show.lines[:2]
            assert "✗ proven deadlock" in first
            assert "cv-pipeline" in first
            assert "elapsed 1:15" in first
            assert "last progress 74 s ago" in first
            assert "TOKENIZERS_PARALLELISM: on ━━● " in second
            assert "[p]" in second
            assert "fork, 2 workers" in second


async def test_how_it_stands_is_said_by_a_symbol_and_a_word() -> None:
    def now(event: ev.Event) -> ev.Event:
        return ev.stamp(event, at=START + 2, source="session")

    async with stage(size="narrow", now=START + 2) as show:
        assert "… starting" in show.lines[0]
        assert "TOKENIZERS_PARALLELISM:" in show.lines[1]
        await show.feed(*events.stamped(list(events.beginning())))
        assert "▶ running" in show.lines[0]
        await show.feed(now(ev.Stuck(phase=Phase.EMBED, dead=())))
        assert "‖ stuck" in show.lines[0]
        await show.feed(now(events.verdict()), now(ev.Stuck(phase=Phase.EMBED, dead=())))
        assert "✗ proven deadlock" in show.lines[0]
        await show.feed(now(ev.FixStarted(strategy=Strategy.RELEASE)))
        assert "↻ fixing" in show.lines[0]
        show.now = START + 90
        await show.feed(now(ev.RunFinished(outcome="failed", exit_code=1, elapsed_s=2.0)))
        assert "✗ failed" in show.lines[0]
        assert "after 0:02" in show.lines[0], "the end of a run stops its watch"
        await show.feed(now(ev.RunFinished(outcome="completed", exit_code=0, elapsed_s=2.0)))
        assert "✓ completed" in show.lines[0]


async def test_of_a_tree_that_is_followed_the_top_line_says_pid_and_command() -> None:
    async with stage(ATTACHED, size="narrow", now=START + 2) as show:
        assert "attached to PID 4100  python train.py" in show.lines[0]
        assert "3 processes, 4 threads" in show.lines[1]
        assert "TOKENIZERS_PARALLELISM" not in "".join(show.lines[:2])
        assert "recording" not in show.text
        show.source.kind = "recording"
        await show.tick()
        assert "● recording" in show.lines[1]


async def test_a_pause_is_said_and_moves_nothing_else() -> None:
    async with stage(events.running(), size="medium", now=START + 1) as show:
        before = show.lines
        await show.press("z")
        at = time.strftime("%H:%M:%S", time.localtime(START + 1))
        assert f"PAUSED: what you see is from {at}; sampling goes on, z continues" in show.lines[1]
        assert show.lines[2:-1] == before[2:-1]
        show.now = START + 60
        await show.feed(*events.stamped([ev.PhaseProgress(phase=Phase.EMBED, done=900)], at=START + 60))
        assert show.lines[2:-1] == before[2:-1], "what is shown stands still, charts too"
        await click(show, "PAUSED")
        assert "900/1,013" in show.text
        assert "PAUSED" not in show.text


# places


async def test_a_grid_shows_all_panels_and_keys_and_clicks_go_to_them() -> None:
    async with stage(events.running(), size="medium") as show:
        for name in ("1 Phases", "2 Charts", "3 Processes and threads", "4 Verdict", "5 Stack", "▸ 7 Log"):
            assert title(show, name)
        assert has_keys(show, "3 Processes and threads")
        await show.press("4")
        assert has_keys(show, "4 Verdict")
        assert not has_keys(show, "3 Processes and threads")
        await show.press("shift+tab")
        assert has_keys(show, "3 Processes and threads")
        await show.press("6")
        assert "▸ 6 Database" in show.text
        await click(show, "7 Log")
        assert "▸ 7 Log" in show.text
        await show.press("tab")
        assert has_keys(show, "1 Phases")


async def test_zoom_shows_one_panel_and_escape_brings_all_back() -> None:
    async with stage(events.running(), size="medium") as show:
        before = show.lines
        await show.press("o")
        await show.until(lambda: "4 Verdict" not in show.text)
        assert "o or Esc: all panels" in title(show, "3 Processes and threads")
        await show.press("escape")
        await show.until(lambda: "4 Verdict" in show.text)
        assert show.lines == before


async def test_narrow_is_a_deck_with_tabs() -> None:
    async with stage(events.running(), size="narrow") as show:
        assert has_keys(show, "1 Phases")
        assert "2 charts" in show.lines[2]
        assert "Charts" not in show.text
        await click(show, "2 charts", line=2)
        assert has_keys(show, "2 Charts")
        await show.press("tab")
        assert has_keys(show, "3 Processes and threads")
        await show.pilot.resize_terminal(*SIZES["medium"])
        await show.until(lambda: "─ 4 Verdict" in show.text)
        assert "all panels" not in show.text, "going from tab to tab is no zoom"


async def test_a_jump_shows_where_it_leads() -> None:
    async with stage(events.hang(), size="narrow") as show:
        assert has_keys(show, "4 Verdict")
        show.app.main.select(Selection(events.WORKER_2))
        await show.until(lambda: "3 Processes and threads" in show.text)
        assert has_keys(show, "3 Processes and threads")


async def test_a_verdict_comes_to_somebody_who_has_not_pressed_anything() -> None:
    async with stage(events.running(), size="narrow") as show:
        await show.feed(*events.hang())
        assert has_keys(show, "4 Verdict")
        await show.press("1")
        await show.tick()
        assert has_keys(show, "1 Phases"), "only once"


async def test_somebody_who_has_pressed_something_sees_a_mark() -> None:
    async with stage(events.running(), size="narrow") as show:
        assert "✗" not in show.lines[2]
        await show.press("2")
        await show.feed(*events.hang())
        assert has_keys(show, "2 Charts")
        assert "4 verdict ✗" in show.lines[2]


async def test_the_shape_changes_once_when_a_hang_is_proven() -> None:
    async with stage(events.running(), size="medium") as show:
        assert "2 Charts" in show.text
        await show.feed(*events.hang())
        await show.until(lambda: "2 Charts" not in show.text)
        shape = [line for line in show.lines if " 4 Verdict " in line]
        await show.feed(ev.stamp(ev.FixStarted(strategy=Strategy.RELEASE), at=START + 9, source="session"))
        assert "↻ fixing" in show.text
        assert [line for line in show.lines if " 4 Verdict " in line] == shape
        await show.press("2")
        assert title(show, "2 Charts"), "what has no place in the grid can be seen alone"


@pytest.mark.slow
@pytest.mark.parametrize("told", [events.hang(), events.running(), ATTACHED], ids=["hang", "running", "attached"])
async def test_no_size_breaks_it(told: list[ev.Event]) -> None:
    async with stage(told, size="wide", now=START + 3) as show:
        await show.press("4")
        for width, height in ((60, 16), (40, 10), (300, 80), (99, 31), (100, 32), (120, 16), (59, 40), (80, 24)):
            await show.pilot.resize_terminal(width, height)
            grid = width >= 100 and height >= 32
            sign = "too small" if width < 60 else "─ 5 Stack" if grid else "2 charts"
            await show.until(lambda: sign in show.text)  # noqa: B023  (waited for at once)
            assert width < 60 or title(show, "4 Verdict")
            assert all(len(line) <= width for line in show.lines)


# charts


async def test_charts_show_values_their_greatest_and_the_time_they_span() -> None:
    async with stage(events.running(), size="wide", now=START + 1.2) as show:
        text = show.text
        assert "the last " in title(show, "2 Charts")
        for row in ("CPU subject", "CPU worker 1", "CPU worker 2"):
            assert "max" in next(line for line in show.lines if row in line)
        assert "151.0 MB" in text
        assert "chunks/s" in text
        assert "appears with storing" in text


async def test_what_does_not_fit_is_summed_up() -> None:
    many = tuple(ProcessSeen(pid=pid, ppid=1, start_ticks=1, cpu=0.9 if pid == 117 else 0.5) for pid in range(100, 140))
    told = events.stamped([*events.beginning(), ev.TreeSampled(key=True, processes=many)])
    async with stage(told, size="medium", now=START + 2) as show:
        assert "2040%" in next(line for line in show.lines if "CPU, all" in line)
        assert "90%" in next(line for line in show.lines if "top: 117" in line)


# footer


def scenes() -> list[Scene]:
    found = []
    for told in ([], events.running(), events.hang(), ATTACHED, COMPLETED):
        state = RunState()
        for event in told:
            state = fold(state, event)
        found.append(Scene(state, START, History(), LogBook()))
    return found


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 300])
def test_the_footer_has_eight_keys_at_most_and_fits(width: int) -> None:
    for scene in scenes():
        keys = laid_out(footer(scene), width)
        assert len(keys) <= FOOTER_KEYS
        assert len("".join(keycap + label for keycap, label, _ in keys).rstrip()) <= width
        shown = {action.id for *_, action in keys}
        assert {action.id for action in footer(scene) if action.id in KEPT} <= shown
        if width >= 100:
            assert len(keys) == len(footer(scene)), "only below 100 columns a key is left out"


async def test_the_footer_has_readable_keys_fits_the_state_and_can_be_clicked() -> None:
    async with stage(events.running(), size="narrow") as show:
        assert "? " in show.lines[-1]
        assert "question_mark" not in show.text
        assert "fix" not in show.lines[-1]
        await click(show, "pause", line=-1)
        assert "PAUSED" in show.text
        await click(show, "PAUSED")
        await click(show, "TOKENIZERS_PARALLELISM")
        assert "→ on [r]" in show.lines[1], "the switch is for the next run"
        await show.feed(*events.hang())
        assert "f fix" in show.lines[-1]


def test_every_key_of_the_registry_can_be_written_on_a_cap() -> None:
    assert all(len(cap(action.key)) <= len("ctrl+p") for action in ACTIONS)


# themes


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.1 (https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [part / 255 for part in Color.parse(colour).rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", PALETTES)
def test_every_text_has_contrast(name: str) -> None:
    palette = PALETTES[name]
    texts = (palette.text, palette.dim, palette.bad, palette.good, palette.warn, palette.accent, palette.primary)
    for text, ground in itertools.product(texts, (palette.background, palette.line)):
        assert contrast(text, ground) >= 4.5, f"{text} on {ground}"


def test_the_projector_has_more_contrast_and_nothing_dim() -> None:
    palette = PALETTES["projector"]
    assert palette.dim == palette.text
    assert all(contrast(text, palette.background) >= 7 for text in (palette.bad, palette.good, palette.warn))


def test_themes_come_round() -> None:
    names = list(itertools.accumulate(range(4), lambda name, _: next_theme(str(name)), initial="dark"))
    assert names == ["dark", "light", "projector", "ansi", "dark"]


async def test_the_projector_shows_few_panels() -> None:
    async with stage(events.hang(), size="medium") as show:
        show.app.theme = "projector"
        await show.until(lambda: "5 Stack" not in show.text)
        for name in ("1 Phases", "3 Processes and threads", "4 Verdict"):
            assert title(show, name)
        assert "Log" not in show.text
        await show.press("7")
        assert "7 Log" in show.text


async def test_without_colour_only_attributes_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with stage(events.hang(), size="medium") as show:
        assert show.app.theme == "ansi"
        styles = {
            segment.style
            for filtered in (filter_ for filter_ in show.app._filters if type(filter_).__name__ == "NoColor")
            for strip in show.app.screen._compositor.render_strips()
            for segment in filtered.apply(list(strip), Color.parse("black"))
            if segment.style is not None
        }
        assert styles
        assert all(style.color is None or style.color.is_default for style in styles)
        assert any(style.reverse for style in styles), "what is a block of colour is a block without it too"
