"""The command line: `cvdebug run`, `resume`, `attach`, `watch`, `replay`, `export`, `ps`, `runs`, `search`, `db` ...

Standard output is for data and results, standard error for what went wrong. Exit codes are core.errors.ExitCode:
0 completed, 1 failed, 2 usage, 3 hang found and not fixed, 4 time limit without a verdict, 130 interrupted
(128+N by signal N). Each command imports what it needs when it runs, so that none waits for what the others need.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .commands import completions, options
from .commands.outcome import carry_out
from .groups import GROUPS

WELCOME = """\
cvdebug runs an embedding-and-store pipeline over CVs (people's résumés) in
front of you, and shows why it hangs.

  cvdebug run                          the whole pipeline, which ends well
  cvdebug run --parallelism on         a real fork deadlock, proven
  cvdebug run --parallelism on --fix   the same, finished; nothing is lost
  cvdebug attach PID                   why any Python program hangs
  cvdebug watch -- COMMAND             runs a program and says when it hangs

More: cvdebug --help, cvdebug scenarios, cvdebug doctor.
"""

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def welcome(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Runs an embedding-and-store pipeline in front of you, and shows why it hangs."""
    if show_version:
        from ..core.versions import version

        typer.echo(f"cvdebug {version('cvdebug')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(WELCOME, nl=False)


@app.command()
def run(
    scenario: options.Scenario = None,
    input: options.Input = None,
    cvs: options.Cvs = None,
    seed: options.Seed = None,
    tokenizer: options.TokenizerFile = None,
    embedder: options.Embedder = None,
    ollama_url: options.OllamaUrl = None,
    model: options.Model = None,
    pull: options.Pull = None,
    embed_timeout: options.EmbedTimeout = None,
    parallelism: options.Parallelism = None,
    start_method: options.StartMethod = None,
    workers: options.Workers = None,
    batch: options.Batch = None,
    dsn: options.Dsn = None,
    table: options.Table = None,
    replace: options.Replace = None,
    storage: options.Storage = None,
    index: options.Index = None,
    metric: options.Metric = None,
    m: options.M = None,
    ef_construction: options.EfConstruction = None,
    lists: options.Lists = None,
    maintenance_work_mem_mb: options.MaintenanceMemory = None,
    lock_timeout: options.LockTimeout = None,
    keep_spool: options.KeepSpool = None,
    timeout: options.Timeout = None,
    fix: options.Fix = False,
    fix_with: options.FixWith = None,
    yes: options.Yes = False,
    hold: options.Hold = False,
    tour: options.Tour = False,
    plain: options.PlainOutput = False,
    json: options.Json = False,
    record: options.Record = None,
) -> None:
    """Run the pipeline: load, tokenize, embed, clean up, convert, store, index, verify.

    On a terminal in the app, which stays until you quit it; elsewhere in lines.
    """
    from .commands import run_commands

    flags = {
        "input": input, "cvs": cvs, "seed": seed, "tokenizer": tokenizer, "embedder": embedder,
        "ollama_url": ollama_url, "model": model, "pull": pull, "embed_timeout_s": embed_timeout,
        "parallelism": parallelism, "start_method": start_method, "workers": workers, "batch": batch, "dsn": dsn,
        "table": table, "replace": replace, "storage": storage, "index": index, "metric": metric, "m": m,
        "ef_construction": ef_construction, "lists": lists, "maintenance_work_mem_mb": maintenance_work_mem_mb,
        "lock_timeout_s": lock_timeout, "keep_spool": keep_spool, "timeout_s": timeout,
    }  # fmt: skip
    view = run_commands.View(json=json, plain=plain, record=record, tour=tour)
    ask = run_commands.HangPolicy(fix=fix, fix_with=fix_with, hold=hold, yes=yes)
    raise typer.Exit(run_commands.run(scenario, flags, ask, view))


@app.command()
def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            help="The run (cvdebug runs lists them); default: the newest.",
            show_default=False,
            autocompletion=completions.runs,
        ),
    ] = None,
    fix_with: options.FixWith = None,
    dsn: options.Dsn = None,
    tokenizer: options.TokenizerFile = None,
    embedder: options.Embedder = None,
    ollama_url: options.OllamaUrl = None,
    model: options.Model = None,
    pull: options.Pull = None,
    embed_timeout: options.EmbedTimeout = None,
    workers: options.Workers = None,
    replace: options.Replace = None,
    storage: options.Storage = None,
    index: options.Index = None,
    metric: options.Metric = None,
    m: options.M = None,
    ef_construction: options.EfConstruction = None,
    lists: options.Lists = None,
    maintenance_work_mem_mb: options.MaintenanceMemory = None,
    lock_timeout: options.LockTimeout = None,
    keep_spool: options.KeepSpool = None,
    timeout: options.Timeout = None,
    plain: options.PlainOutput = False,
    json: options.Json = False,
    record: options.Record = None,
) -> None:
    """Finish a run that hung, failed or was killed, from what it had computed: in the app, or in lines, as run does."""
    from .commands import run_commands

    flags = {
        "dsn": dsn, "tokenizer": tokenizer, "embedder": embedder, "ollama_url": ollama_url, "model": model,
        "pull": pull, "embed_timeout_s": embed_timeout, "workers": workers,
        "replace": replace, "storage": storage, "index": index, "metric": metric, "m": m,
        "ef_construction": ef_construction, "lists": lists, "maintenance_work_mem_mb": maintenance_work_mem_mb,
        "lock_timeout_s": lock_timeout, "keep_spool": keep_spool, "timeout_s": timeout,
    }  # fmt: skip
    view = run_commands.View(json=json, plain=plain, record=record)
    raise typer.Exit(run_commands.resume(run, flags, fix_with, view))


@app.command()
def attach(
    pid: Annotated[
        str | None,
        typer.Argument(metavar="PID", help="The root of the tree; without it you choose.", show_default=False),
    ] = None,
    once: options.Once = False,
    dsn: options.LookDsn = None,
    report: options.Report = None,
    native: options.Native = False,
    plain: options.LookPlain = False,
    json: options.JsonObject = False,
    record: options.LookRecord = None,
) -> None:
    """Look at a running program and everything below it: who waits for whom, whether it can go on, and the fix.

    On a terminal in the app; plain with --plain, --once, --json or --report, and elsewhere. Looks until you leave, and
    says when something hangs or moves again. Nothing is written to the program, and nothing stopped, but for
    milliseconds a process that is proven dead, unless you ask for it. Exit code: 3 a hang (proven, certain or likely),
    0 not hung or undecided, 1 it cannot be looked at, 2 usage, 130 left before a hang was found.
    """
    from .commands import attach as attaching
    from .commands import look_commands

    wish = attaching.Wish(once=once, json=json, plain=plain, native=native, dsn=dsn, report=report, record=record)
    raise typer.Exit(attaching.attach(pid, wish, look_commands.choose))


@app.command()
def replay(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN",
            help="What --record left, or a run that was kept.",
            show_default=False,
            autocompletion=completions.runs,
        ),
    ],
    speed: options.Speed = None,
    plain: options.LookPlain = False,
    json: options.Json = False,
) -> None:
    """Play a recording as if it happened now: in the app on a terminal, else in lines. Nothing is run.

    Silences over 10 s are cut short. Exit code: that of what was recorded; 130 when you leave before its end.
    """
    from .commands import replay_command

    raise typer.Exit(replay_command.replay(recording, speed, replay_command.View(json=json, plain=plain)))


@app.command()
def export(
    recording: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN",
            help="What --record left, or a run that was kept.",
            show_default=False,
            autocompletion=completions.runs,
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="A new folder; default: one named after the run.", show_default=False),
    ] = None,
) -> None:
    """Export a recording as a folder: events, the verdict as Markdown, stacks. Prints the files.

    What x does in the app, without the picture. Nothing is overwritten: FOLDER must not exist yet.
    """
    from .commands import export_command

    export_command.export_recording(recording, folder)


@app.command()
def ps(all: options.Everybody = False, json: options.JsonArray = False) -> None:
    """List the Python programs of this user, each with a verdict of one quick look."""
    from .commands import look_commands

    look_commands.ps(json=json, everybody=all)


@app.command()
def explain(
    slug: Annotated[
        str | None,
        typer.Argument(
            metavar="SLUG", help="A verdict's name.", show_default=False, autocompletion=completions.verdicts
        ),
    ] = None,
    json: options.JsonArray = False,
) -> None:
    """Explain a verdict: why it happens, when it is said, the ways out. Without SLUG a list of all."""
    from .commands import look_commands

    look_commands.explain(slug, json=json)


@app.command()
def doctor(
    dsn: options.Dsn = None,
    table: options.Table = None,
    replace: options.Replace = None,
    storage: options.Storage = None,
    index: options.Index = None,
    embedder: options.Embedder = None,
    ollama_url: options.OllamaUrl = None,
    model: options.Model = None,
    json: options.JsonArray = False,
) -> None:
    """Check this machine: Python, tokenizers after a fork, py-spy, PostgreSQL, Ollama, memory, disk, limits.

    The options are those of the run that it is asked about. Exit code 1 when a check failed; notes and warnings give 0.
    """
    from .commands import doctor as doctor_command

    flags: dict[str, Any] = {
        "dsn": dsn, "table": table, "replace": replace, "storage": storage, "index": index, "embedder": embedder,
        "ollama_url": ollama_url, "model": model,
    }  # fmt: skip
    raise typer.Exit(doctor_command.doctor(flags, json=json))


@app.command(
    cls=completions.WatchCommand,
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def watch() -> None:
    """Run any command as if cvdebug were not there, and say when it hangs; with --app in the app."""
    from .commands import watch_command

    watch_command.start(sys.argv[2:])


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many passages.", min=1, max=1000)] = 5,
    dsn: options.Dsn = None,
    table: options.Table = None,
    tokenizer: options.TokenizerFile = None,
    ollama_url: options.OllamaUrl = None,
    json: options.Json = False,
) -> None:
    """Find the CV passages nearest to a text: what the load was for."""
    from .commands import database_commands

    flags: dict[str, Any] = {"dsn": dsn, "table": table, "tokenizer": tokenizer, "ollama_url": ollama_url}
    database_commands.search(text, limit, flags, json=json)


@app.command()
def completion(
    shell: Annotated[
        str, typer.Argument(metavar="bash|zsh|fish", autocompletion=completions.among(completions.SHELLS))
    ],
) -> None:
    """Print the shell's script that completes commands, options, scenarios and runs: source <(cvdebug completion bash).

    For fish: cvdebug completion fish | source. cvdebug --install-completion writes it into the shell's start files.
    """
    typer.echo(completions.script(shell))


@app.command("man")
def manual() -> None:
    """Show the manual page; in a pipe or a file its source, for man -l or ~/.local/share/man/man1/cvdebug.1."""
    from .commands import manual as page

    page.show(app)


def main() -> None:
    """The console script. typer itself answers for usage errors (2), Ctrl-C (130) and a reader that went away."""
    carry_out(app)
