"""The command `chatexports` with its subcommands."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from langchain_chatexports._version import __version__
from langchain_chatexports.cli._exit import exit_handling
from langchain_chatexports.cli._help import (
    FIRST_STEPS,
    Command,
    help_examples,
    help_text,
)
from langchain_chatexports.cli._options import command, flag
from langchain_chatexports.cli.chat import chat
from langchain_chatexports.cli.demo import demo
from langchain_chatexports.cli.evaluate import evaluate
from langchain_chatexports.cli.export_model import export_model
from langchain_chatexports.cli.finetune import finetune
from langchain_chatexports.cli.forget import forget
from langchain_chatexports.cli.inspect import inspect
from langchain_chatexports.cli.mcp import mcp
from langchain_chatexports.cli.models import models
from langchain_chatexports.cli.open import open_
from langchain_chatexports.cli.prepare import prepare
from langchain_chatexports.cli.report import report
from langchain_chatexports.cli.search import search
from langchain_chatexports.cli.serve import serve

app = typer.Typer(
    name="chatexports",
    help="Turn your message exports into a chat model, on your own machine.",
    epilog=FIRST_STEPS,
    context_settings={"help_option_names": ["--help", "-h"]},
    # Boxes would take up half of the width.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
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


# In the order of the help.
for _command in (
    open_,
    inspect,
    search,
    report,
    prepare,
    forget,
    finetune,
    evaluate,
    chat,
    mcp,
    serve,
    models,
    export_model,
    demo,
):
    register = app.command(
        _command.__name__.rstrip("_").replace("_", "-"),
        cls=Command,
        help=help_text(_command),
        epilog=help_examples(_command),
    )
    register(_command)


def run() -> None:
    """Run the command line; report errors as one line and an exit status."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # On Windows, the default encoding of pipes lacks most characters.
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")
    with exit_handling(debug=debug):
        sys.exit(app(args=arguments, standalone_mode=False))
