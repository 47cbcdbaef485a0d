"""An app on stage makes some ten thousand objects: the collector, left as it is, takes a third of these tests' time."""

from __future__ import annotations

import gc

from . import stage  # noqa: F401  (with all that it imports)

gc.collect()
gc.freeze()
gc.set_threshold(50_000, 10, 10)
