"""Help texts: a command's description, and examples of what to type."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperCommand, TyperGroup

from langchain_chatexports.cli._console import command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["FIRST_STEPS", "Command", "Group", "examples_of", "text_of"]

FIRST_STEPS = """Begin with: chatexports inspect PATH

Or on a page in the browser: chatexports open

Each command explains its options with --help, and prints what to run next.

Data goes to stdout or into files, everything else to stderr. Status: 0 done, \
1 error, 2 wrong option, 129 SIGHUP, 130 Ctrl-C, 141 output not read, 143 SIGTERM."""

_EXAMPLES = "For example:"
# What other programs call it.
_MEANT = {"help": "--help", "train": "finetune"}


class Command(TyperCommand):
    """A command whose flags are not shown as if they took a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters."""
        return _shown_plainly(super().get_params(ctx))


class Group(TyperGroup):
    """`chatexports` itself, shown in the same way."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters."""
        return _shown_plainly(super().get_params(ctx))

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
    lines = _docstring(command)[1].split("\n")
    return "\n\n".join((_EXAMPLES, *filter(None, map(str.strip, lines))))


def _docstring(command: Callable[..., object]) -> tuple[str, str]:
    text, _, examples = inspect.cleandoc(command.__doc__ or "").partition(_EXAMPLES)
    return text, examples


def _shown_plainly(parameters: Sequence[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperArgument):
            # Its metavar says more than the type of a list.
            parameter.display_type_rich = _nothing  # type: ignore[method-assign] # typer has no other way
        elif parameter.is_flag:
            parameter.metavar = ""
    return [*parameters]


def _nothing(ctx: Any) -> str:
    del ctx
    return ""
