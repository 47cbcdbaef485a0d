"""Where cvdebug keeps what is its own: all of it private to the user.

CVDEBUG_HOME, a folder, moves all of it there; the config file is elsewhere (core.config).
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "CVDEBUG_HOME"


def runs_folder() -> Path:
    """The folder that holds one spool a run."""
    home = os.environ.get(HOME_VARIABLE)
    state = Path(home).expanduser().absolute() if home else platformdirs.user_state_path("cvdebug")
    return state / "runs"
