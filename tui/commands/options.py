"""The options of the command line, worded once. core.settings checks the values, so that only its words exist."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import completions

DATA, WORK, BASE, RUN, SHOW = "Data", "Workers and toggle", "Database", "This run", "Output"
LOOK = "Looking"


def _option(*names: str, group: str, help: str, metavar: str | None = None) -> typer.models.OptionInfo:
    return typer.Option(  # type: ignore[no-any-return]
        *names,
        rich_help_panel=group,
        help=help,
        metavar=metavar,
        show_default=False,
        autocompletion=completions.of_metavar(metavar),
    )


Scenario = Annotated[
    str | None,
    typer.Argument(
        help="A scenario's name, or a .toml file of yours.", show_default=False, autocompletion=completions.scenarios
    ),
]
Input = Annotated[
    str | None,
    _option("--input", group=DATA, metavar="PATH", help="A folder of .txt, .md, .pdf, .docx, or a .jsonl."),
]
Cvs = Annotated[int | None, _option("--cvs", group=DATA, metavar="N", help="How many CVs to generate (400).")]
Seed = Annotated[int | None, _option("--seed", group=DATA, metavar="N", help="Another set of CVs (0).")]
TokenizerFile = Annotated[
    str | None,
    _option("--tokenizer", group=DATA, metavar="FILE|NAME", help="Another tokenizer.json, or owner/name on the hub."),
]
Embedder = Annotated[
    str | None, _option("--embedder", group=WORK, metavar="lexical|ollama", help="Who makes the vectors (lexical).")
]
OllamaUrl = Annotated[
    str | None,
    _option("--ollama-url", group=WORK, metavar="URL", help="Your Ollama (OLLAMA_HOST, else this machine)."),
]
Model = Annotated[
    str | None,
    _option("--model", group=WORK, metavar="NAME", help="Ollama's model (qllama/bge-large-en-v1.5)."),
]
Pull = Annotated[bool | None, _option("--pull", group=WORK, help="Have Ollama download the model if it is missing.")]
EmbedTimeout = Annotated[
    float | None,
    _option("--embed-timeout", group=WORK, metavar="S", help="How long Ollama may take for a request (by its size)."),
]
Parallelism = Annotated[
    str | None,
    _option("--parallelism", group=WORK, metavar="on|off|unset", help="TOKENIZERS_PARALLELISM of the subject (off)."),
]
StartMethod = Annotated[
    str | None,
    _option("--start-method", group=WORK, metavar="fork|spawn|forkserver|thread", help="How workers start (fork)."),
]
Workers = Annotated[int | None, _option("--workers", group=WORK, metavar="N", help="How many workers (2).")]
Batch = Annotated[int | None, _option("--batch", group=WORK, metavar="N", help="Chunks embedded at once (32).")]
Dsn = Annotated[
    str | None,
    _option(
        "--dsn",
        group=BASE,
        metavar="DSN",
        help="Your PostgreSQL: a libpq URI or key=value pairs; env: as the PG* variables say (the embedded one).",
    ),
]
Table = Annotated[str | None, _option("--table", group=BASE, metavar="SCHEMA.NAME", help="The table (cvdebug.chunks).")]
Replace = Annotated[
    str | None,
    _option(
        "--replace",
        group=BASE,
        metavar="truncate|swap",
        help="Empty the table and fill it (truncate), or load another and rename it: readers hardly wait.",
    ),
]
Storage = Annotated[
    str | None,
    _option("--storage", group=BASE, metavar="vector|halfvec", help="float32, or float16 in half the space (vector)."),
]
Index = Annotated[
    str | None, _option("--index", group=BASE, metavar="hnsw|ivfflat|none", help="The index to build (hnsw).")
]
Metric = Annotated[
    str | None, _option("--metric", group=BASE, metavar="cosine|ip|l2", help="What it orders by (cosine).")
]
M = Annotated[int | None, _option("--m", group=BASE, metavar="N", help="hnsw: links a node.")]
EfConstruction = Annotated[
    int | None, _option("--ef-construction", group=BASE, metavar="N", help="hnsw: candidates while building.")
]
Lists = Annotated[int | None, _option("--lists", group=BASE, metavar="N", help="ivfflat: lists.")]
MaintenanceMemory = Annotated[
    int | None,
    _option("--maintenance-work-mem-mb", group=BASE, metavar="MB", help="Memory for building the index."),
]
LockTimeout = Annotated[
    float | None,
    _option("--lock-timeout", group=BASE, metavar="S", help="Wait so long for a lock on the table (10; 0: for ever)."),
]
KeepSpool = Annotated[
    bool | None, _option("--keep-spool", group=RUN, help="Keep the vectors on disk after a verified run.")
]
Timeout = Annotated[
    float | None,
    _option("--timeout", group=RUN, metavar="S", help="End after S seconds: exit code 4 without a verdict."),
]
Fix = Annotated[bool, _option("--fix", group=RUN, help="When a hang is proven, finish the load all the same.")]
FixWith = Annotated[
    str | None,
    _option("--fix-with", group=RUN, metavar="serial|release|unblock|spawn|forkserver|thread", help="How (serial)."),
]
Yes = Annotated[bool, _option("--yes", group=RUN, help="Let --fix end the database session that holds a lock.")]
Hold = Annotated[bool, _option("--hold", group=RUN, help="Keep the hung tree alive, to look at it; Ctrl-C ends it.")]
PlainOutput = Annotated[bool, _option("--plain", group=SHOW, help="Lines and bars, also where the app could be shown.")]
Tour = Annotated[bool, _option("--tour", group=SHOW, help="The app shows itself first: each panel, and the keys.")]
Json = Annotated[bool, _option("--json", group=SHOW, help="One event a line on standard output.")]
Record = Annotated[
    Path | None,
    _option(
        "--record", group=SHOW, metavar="FILE", help="Write the events to FILE as they happen, for cvdebug replay."
    ),
]
Once = Annotated[bool, _option("--once", group=LOOK, help="Look once, and end.")]
LookDsn = Annotated[
    str | None,
    _option("--dsn", group=LOOK, metavar="DSN", help="Ask this PostgreSQL too who blocks whom; env: as PG* say."),
]
Native = Annotated[
    bool,
    _option(
        "--native",
        group=LOOK,
        help="Native stacks of living processes too; that stops them for milliseconds, never in a write.",
    ),
]
Report = Annotated[
    Path | None,
    _option(
        "--report",
        group=LOOK,
        metavar="FILE.md|.json",
        help="Leave the evidence for a bug tracker, secrets left out. An existing file is replaced.",
    ),
]
Everybody = Annotated[bool, _option("--all", group=LOOK, help="Other users' programs too; root sees most of them.")]
LookPlain = Annotated[bool, _option("--plain", group=SHOW, help="Lines, also where the app could be shown.")]
LookRecord = Annotated[
    Path | None,
    _option("--record", group=SHOW, metavar="FILE", help="Write what is seen to FILE, for cvdebug replay."),
]
Speed = Annotated[
    str | None,
    _option("--speed", group=SHOW, metavar="X|max", help="X times as fast as it was (1; max where nobody looks on)."),
]
JsonObject = Annotated[
    bool,
    _option(
        "--json",
        group=SHOW,
        help="One object on standard output; without --once when a hang is found, the tree ends, or at Ctrl-C.",
    ),
]
JsonObjectOnce = Annotated[bool, _option("--json", group=SHOW, help="One object on standard output.")]
JsonArray = Annotated[bool, _option("--json", group=SHOW, help="JSON on standard output.")]
