"""Help text: the description and examples of a command."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand

FIRST_STEPS = """\b
Start with: chatexports inspect PATH
Or in the browser: chatexports open

Each command has --help, and prints the next command to run.

Data goes to stdout or to files, everything else to stderr. Exit status: \
0 success, 1 error, 2 usage error, 129 SIGHUP, 130 Ctrl-C, 141 SIGPIPE, 143 SIGTERM."""

_EXAMPLES = "For example:"
_PYDANTIC_MESSAGE = re.compile(r"Input should be (.*?)(?:, unable to .*)?$")


class Command(TyperCommand):
    """A command that shows arguments in its help without Python types."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters = super().get_params(ctx)
        for parameter in parameters:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = _hide_type  # type: ignore[method-assign] # typer has no option for this
                parameter.show_default = parameter.show_default or False
        return [*parameters]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; rephrase pydantic errors."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = _PYDANTIC_MESSAGE.sub(r"It must be \1.", error.message)
            raise


def help_text(command: Callable[..., object]) -> str:
    """Return a command's docstring without its examples, one line per paragraph."""
    paragraphs = _split_docstring(command)[0].strip().split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def help_examples(command: Callable[..., object]) -> str:
    """Return the examples from a command's docstring, as an epilog of its help."""
    lines = map(str.strip, _split_docstring(command)[1].split("\n"))
    # `\b` keeps the line breaks.
    return "\n".join(("\b", _EXAMPLES, *(f"  {line}" for line in lines if line)))


def _split_docstring(command: Callable[..., object]) -> tuple[str, str]:
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition(_EXAMPLES)
    return text, examples


def _hide_type(ctx: Any) -> str:
    del ctx
    return ""
