"""Benchmarks: each figure is a ratio to a baseline that is measured beside it, in the same run.

`python -m tests.bench [NAMES...]` (or `make bench BENCH="store index"`) runs them and prints a table. A baseline is
a short script as a good engineer would write it; it is never slowed down to look better beside it. Everything lives
in a temporary folder with an embedded server of its own; nothing is written into the project.
"""
