"""The command `chatexports` with its subcommands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from langchain_chatexports._temporary import delete_leftovers
from langchain_chatexports._translation import _, activate
from langchain_chatexports._version import __version__
from langchain_chatexports.cli._console import show_waiting
from langchain_chatexports.cli._exit import exit_handling
from langchain_chatexports.cli._help import (
    FIRST_STEPS,
    Command,
    help_examples,
    help_text,
)
from langchain_chatexports.cli._options import command, flag

CATALOGS = Path(__file__).with_name("catalogs")
_QUIET_SECONDS = 2.0
# In the order of the help.
_COMMANDS = (
    "open",
    "inspect",
    "search",
    "report",
    "prepare",
    "forget",
    "finetune",
    "evaluate",
    "chat",
    "mcp",
    "serve",
    "models",
    "status",
    "export-model",
    "demo",
)


def create_app(names: Sequence[str] = _COMMANDS) -> typer.Typer:
    """Create the application with some of its commands, whose modules are imported."""
    app = typer.Typer(
        name="chatexports",
        help="Turn your message exports into a chat model, on your own machine.",
        epilog=FIRST_STEPS,
        context_settings={"help_option_names": ["--help", "-h"]},
        # Boxes would take up half of the width.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(main)
    for name in names:
        module = name.replace("-", "_")
        commands = import_module(f"langchain_chatexports.cli.{module}")
        function = getattr(commands, "open_" if name == "open" else module)
        register = app.command(
            name,
            cls=Command,
            help=help_text(function),
            epilog=help_examples(function),
        )
        register(function)
    return app


@command
def main(
    context: typer.Context,
    *,
    version: Annotated[bool, flag("--version", "Print the version and exit.")] = False,
    debug: Annotated[bool, flag("--debug", "Show tracebacks of errors.")] = False,
) -> None:
    """Turn your message exports into a chat model, on your own machine."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
    del debug  # `run` accepts it at any position.


def run() -> None:
    """Run the command line; report errors as one line and an exit status."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # On Windows, the default encoding of pipes lacks most characters.
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")
    # Programs read JSON, so that its texts are English.
    activate(CATALOGS, {} if "--json" in arguments else os.environ)
    with exit_handling(debug=debug):
        delete_leftovers()
        first = arguments[:1]
        needed = first if first and first[0] in _COMMANDS else _COMMANDS
        # On a busy machine, or the first time, imports take long.
        with show_waiting(_("Starting"), after=_QUIET_SECONDS):
            app = create_app(() if arguments == ["--version"] else needed)
        sys.exit(app(args=arguments, standalone_mode=False))
