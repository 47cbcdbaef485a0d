"""`python -m cvdebug.tui`: the same as the console script `cvdebug`."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
