"""The command `chatexports`: what it consists of, and how it runs."""

# No postponed annotations here: typer reads them at run time.
import io
import sys
from typing import Annotated

import typer

from langchain_chatexports._version import __version__
from langchain_chatexports.cli import evaluation, learning, looking, making
from langchain_chatexports.cli.manners import manners
from langchain_chatexports.cli.teaching import (
    FIRST_STEPS,
    Command,
    Group,
    examples_of,
    text_of,
)

__all__ = ["app", "run"]

app = typer.Typer(
    name="chatexports",
    help="From your own message exports to a chat model, on your own machine.",
    epilog=FIRST_STEPS,
    cls=Group,
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback with an error.")
    ] = False,
) -> None:
    """From your own message exports to a chat model, on your own machine."""
    if version:
        typer.echo(__version__)
        raise typer.Exit
    del debug  # Taken from the arguments by `run`, wherever it stands.


# In the order of the way that a message goes.
for _command in (
    looking.inspect,
    looking.report,
    making.prepare,
    making.redact,
    making.forget,
    learning.finetune,
    evaluation.evaluate,
    learning.chat,
    learning.serve,
    learning.models,
    learning.export_model,
    learning.demo,
):
    register = app.command(
        cls=Command, help=text_of(_command), epilog=examples_of(_command)
    )
    register(_command)


def run() -> None:
    """Run the command line and turn errors into a line and an exit status."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        # Names and answers may hold any character, and a pipe on Windows knows few.
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")
    with manners(debug=debug):
        app(args=arguments)
