"""The console script `cvdebug`, and `python -m cvdebug.tui`. `watch` starts its command before all else is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:2] == ["watch"]:
        from .watch_command import start

        start(sys.argv[2:])
    from .cli import main as others

    others()


if __name__ == "__main__":
    main()
