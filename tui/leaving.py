"""What takes something out of the app: the clipboard, and the export of a run. Nothing of it touches the run.

Other programs and the disk take their time: they are met in a thread of its own, so that the screen never waits.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual.widget import Widget

from ..core.errors import CvdebugError
from .text import clean
from .widgets.rows import Rows

if TYPE_CHECKING:
    from ..core.recording import Recording
    from ..core.state import RunState
    from .app import CvdebugApp

# Programs that fill the clipboard of a desktop, where OSC 52 may not reach it.
_CLIPBOARDS: tuple[tuple[str, ...], ...] = (
    ("wl-copy",),
    ("xclip", "-selection", "clipboard"),
    ("xsel", "--clipboard", "--input"),
)
_CLIPBOARD_S = 2.0


def text_of(widget: Widget | None) -> str:
    """What a panel shows, all of it and not only what is in sight, as plain lines."""
    if not isinstance(widget, Rows):
        return ""
    width = max(widget.size.width, 400)
    lines = ("".join(clean(text) for text, _ in widget.parts(key, width)).rstrip() for key in widget.keys)
    return "\n".join(lines)


def to_clipboard(app: CvdebugApp, text: str) -> None:
    """Through the terminal (OSC 52), which works over ssh, and by the desktop's own program where there is one."""
    app.copy_to_clipboard(text)
    command = next((command for command in _CLIPBOARDS if shutil.which(command[0])), None)
    if command is not None and app.is_headless is False:
        threading.Thread(target=_feed, args=(command, text), daemon=True, name="clipboard").start()


def _feed(command: Sequence[str], text: str) -> None:
    try:
        subprocess.run(
            command, input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=_CLIPBOARD_S, check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return  # the terminal has it


def export_run(app: CvdebugApp, tell: Callable[[str], object]) -> None:
    """Exports what is shown into a new folder below the working folder; then tells, in a sentence, what was done or why
    not."""
    export = partial(_exported, app.bridge.state, app.bridge.recording, app.export_screenshot(title="cvdebug"))

    def work() -> None:
        said = export()
        with contextlib.suppress(RuntimeError):  # the app is over
            app.call_later(tell, said)

    threading.Thread(target=work, name="export").start()  # when the app ends meanwhile, it is written all the same


def _exported(state: RunState, recording: Recording, picture: str) -> str:
    import shlex

    from .export import export, folder_for, here

    try:
        folder = folder_for(state, here())
        command = shlex.join(["cvdebug", *sys.argv[1:]])
        files = export(folder, state, command=command, events=recording.copy, picture=picture)
    except CvdebugError as error:
        return str(error)
    names = ", ".join(file.name for file in files)
    return f"Exported to {folder}: {names}. cvdebug replay {files[0]} plays it again."
