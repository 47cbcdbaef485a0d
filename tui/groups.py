"""The commands that have commands of their own: `runs`, `scenarios`, `db`, `config`.

As in `cli`, each imports what it needs when it runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .commands import completions, options

runs_app = typer.Typer(help="List or remove the runs that left something behind.", rich_markup_mode=None)
scenarios_app = typer.Typer(help="List or show the scenarios.", rich_markup_mode=None)
db_app = typer.Typer(help="The embedded PostgreSQL.", rich_markup_mode=None, no_args_is_help=True)
config_app = typer.Typer(
    help="The settings: where each comes from, and the config file.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
GROUPS = {"runs": runs_app, "scenarios": scenarios_app, "db": db_app, "config": config_app}


@runs_app.callback(invoke_without_command=True)
def runs(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from .commands import run_commands

        run_commands.list_runs()


@runs_app.command("prune")
def prune(
    run: Annotated[
        str | None, typer.Argument(help="Only this one.", show_default=False, autocompletion=completions.runs)
    ] = None,
) -> None:
    """Remove the spools of runs that nobody uses, and what they hold."""
    from .commands import run_commands

    run_commands.prune(run)


@scenarios_app.callback(invoke_without_command=True)
def scenarios(context: typer.Context, json: options.JsonArray = False) -> None:
    if context.invoked_subcommand is None:
        from .commands import run_commands

        run_commands.list_scenarios(json=json)


@scenarios_app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A scenario's name or file.", autocompletion=completions.scenarios)],
) -> None:
    """Print a scenario's file."""
    from .commands import run_commands

    run_commands.show_scenario(name)


@db_app.command("url")
def db_url() -> None:
    """Print the URL of the embedded server, which stays up until `cvdebug db stop`."""
    from .commands import database_commands

    database_commands.url()


@db_app.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def db_psql(context: typer.Context) -> None:
    """Open psql on the embedded server; more arguments go to psql."""
    from .commands import database_commands

    raise typer.Exit(database_commands.psql(context.args))


@db_app.command("stop")
def db_stop() -> None:
    """Stop the embedded server, unless a run uses it."""
    from .commands import database_commands

    database_commands.stop()


@config_app.command("show")
def config_show(
    scenario: Annotated[
        str | None,
        typer.Argument(
            help="As a run of this scenario takes them.", show_default=False, autocompletion=completions.scenarios
        ),
    ] = None,
    json: options.JsonObjectOnce = False,
) -> None:
    """Show every setting and where it comes from: a variable, the scenario, the config file or the defaults."""
    from .commands import config_command

    config_command.show(scenario, json=json)


@config_app.command("path")
def config_path() -> None:
    """Print where the config file is, or would be."""
    from .commands import config_command

    config_command.path()


@config_app.command("validate")
def config_validate(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Another file than the config file.", show_default=False)
    ] = None,
    json: options.JsonObjectOnce = False,
) -> None:
    """Check the config file: exit code 0 when it is right or missing, 2 with all that is wrong."""
    from .commands import config_command

    raise typer.Exit(config_command.validate(file, json=json))
