"""Help texts: a command's description, and examples of what to type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup

from langchain_chatexports.cli._console import command_line

FIRST_STEPS = """\b
Begin with: chatexports inspect PATH
Or on a page in the browser: chatexports open

Each command explains its options with --help, and prints what to run next.

Data goes to stdout or into files, everything else to stderr. Status: 0 done, \
1 error, 2 wrong option, 129 SIGHUP, 130 Ctrl-C, 141 output not read, 143 SIGTERM."""

_EXAMPLES = "For example:"
# What other programs call it.
_MEANT = {"help": "--help", "train": "finetune"}


class Command(TyperCommand):
    """A command whose arguments are shown without their types in Python."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = _nothing  # type: ignore[method-assign] # typer has no other way
                parameter.show_default = parameter.show_default or False
        return [*parameters]


class Group(TyperGroup):
    """`chatexports` itself."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command; typer suggests one for a name that is misspelled."""
        if args[0] in _MEANT:
            meant = [_MEANT[args[0]]]
            if args[0] == "help" and self.get_command(ctx, args[-1]):
                meant.insert(0, args[-1])
            ctx.fail(
                f"No such command {args[0]!r}. Did you mean: {command_line(*meant)}?"
            )
        return super().resolve_command(ctx, args)


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
