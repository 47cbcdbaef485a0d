"""All checks, in the order in which they are shown."""

from __future__ import annotations

from . import container, database, forks, limits, ollama, processor, python, room, screen, tracing
from .check import Check

CHECKS: tuple[Check, ...] = (
    Check(name="settings", why="Every run reads them first.", probe=python.settings, quick=True),
    Check(name="python", why="It runs everything, and py-spy has to know it.", probe=python.interpreter, quick=True),
    Check(name="packages", why="A run imports them in its subject.", probe=python.packages),
    Check(name="start-methods", why="Workers start by one of them; fork is what the deadlock needs.",
          probe=python.start_methods),
    Check(name="tokenizers", why="Whether the fork deadlock is there to be shown, and in your own pipelines.",
          probe=forks.tokenizers),
    Check(name="py-spy", why="Without stacks a deadlock is proven, but not named.", probe=tracing.py_spy),
    Check(name="postgresql", why="The vectors are stored there.", probe=database.postgresql,
          deadline_s=database.DEADLINE_S),
    Check(name="pgvector", why="It holds the vectors and builds their index.", probe=database.pgvector,
          deadline_s=database.DEADLINE_S),
    Check(name="table", why="A run replaces its rows, and refuses a table that is not its own.", probe=database.table,
          deadline_s=database.DEADLINE_S),
    Check(name="ollama", why="Optional: --embedder ollama makes the vectors with it.", probe=ollama.ollama),
    Check(name="processor", why="Libraries are built for a least processor, and proofs read its system calls.",
          probe=processor.features, quick=True),
    Check(name="shared-memory", why="Locks between processes and parallel index builds live in /dev/shm.",
          probe=room.shared_memory),
    Check(name="disk", why="Vectors, the database and its log are written there.", probe=room.disk),
    Check(name="open-files", why="Pipes, sockets and tables take one each.", probe=limits.open_files, quick=True),
    Check(name="processes", why="Workers, their native threads and the server count.", probe=limits.processes,
          quick=True),
    Check(name="memory", why="What takes more is killed, often without a word.", probe=limits.memory, quick=True),
    Check(name="container", why="It decides which processes can be seen, and what may be read of them.",
          probe=container.container, quick=True),
    Check(name="locale", why="CVs and names of files may hold any letter.", probe=screen.locale),
    Check(name="terminal", why="The app is drawn on it.", probe=screen.terminal, quick=True),
)  # fmt: skip
