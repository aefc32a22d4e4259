"""Help texts: a command's description, and examples of what to type."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand

FIRST_STEPS = """\b
Begin with: chatexports inspect PATH
Or on a page in the browser: chatexports open

Each command explains its options with --help, and prints what to run next.

Data goes to stdout or into files, everything else to stderr. Status: 0 done, \
1 error, 2 wrong option, 129 SIGHUP, 130 Ctrl-C, 141 output not read, 143 SIGTERM."""

_EXAMPLES = "For example:"
_PYDANTIC_MESSAGE = re.compile(r"Input should be (.*?)(?:, unable to .*)?$")


class Command(TyperCommand):
    """A command whose arguments are shown without their types in Python."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters = super().get_params(ctx)
        for parameter in parameters:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = _nothing  # type: ignore[method-assign] # typer has no other way
                parameter.show_default = parameter.show_default or False
        return [*parameters]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; rephrase pydantic's errors."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = _PYDANTIC_MESSAGE.sub(r"It must be \1.", error.message)
            raise


def text_of(command: Callable[..., object]) -> str:
    """Return a command's docstring, without examples, each paragraph as one line."""
    paragraphs = _docstring(command)[0].strip().split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def examples_of(command: Callable[..., object]) -> str:
    """Return the examples in a command's docstring, for the end of its help."""
    lines = map(str.strip, _docstring(command)[1].split("\n"))
    # The first line keeps the others from being wrapped together.
    return "\n".join(("\b", _EXAMPLES, *(f"  {line}" for line in lines if line)))


def _docstring(command: Callable[..., object]) -> tuple[str, str]:
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition(_EXAMPLES)
    return text, examples


def _nothing(ctx: Any) -> str:
    del ctx
    return ""
