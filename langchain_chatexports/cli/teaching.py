"""What `--help` teaches beside the options: what to type, and what comes next."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

__all__ = ["FIRST_STEPS", "Command", "Group", "examples_of", "text_of"]

FIRST_STEPS = """Begin with: chatexports inspect PATH

Each command says with --help what to type, and at its end what comes next.

What is data goes to stdout or into files, all else to stderr. Status: 0 done, \
1 error, 2 wrong option, 130 Ctrl-C, 141 output not read, 143 SIGTERM."""

_EXAMPLES: dict[str, tuple[str, ...]] = {
    "inspect": (
        "chatexports inspect chat.db --contacts friends.vcf",
        "chatexports inspect facebook-1.zip facebook-2.zip",
    ),
    "report": (
        "chatexports report chat.db --ai Tortoise --time-zone Europe/Berlin",
        "chatexports report chat.db --anonymous -o to-show-around.html",
    ),
    "prepare": (
        "chatexports prepare chat.db -o examples.jsonl",
        'chatexports prepare export.zip --ai "Harry Potter" --split -o set',
        "chatexports prepare chat.db --redact --format trl -o private.jsonl",
    ),
    "redact": (
        "chatexports redact chat.db -o redacted.jsonl",
        "chatexports redact --undo redacted.jsonl -o restored.jsonl",
    ),
    "forget": (
        "chatexports forget set --person Hare",
        "chatexports forget set --person Hare --mentions",
    ),
    "finetune": (
        "chatexports finetune chat.db --ai Tortoise",
        "chatexports finetune examples.jsonl --base Qwen/Qwen2.5-0.5B-Instruct",
    ),
    "evaluate": (
        "chatexports evaluate set",
        "chatexports evaluate chat.db --ai Tortoise --finetune",
    ),
    "chat": (
        "chatexports chat",
        "echo Hello | chatexports chat --json",
    ),
    "serve": (
        "chatexports serve --list-bases",
        "chatexports serve --base Qwen/Qwen2.5-0.5B-Instruct",
        "chatexports serve --alias gpt-3.5-turbo=SmolLM2-135M-Instruct",
    ),
    "models": (
        "chatexports models",
        "chatexports models --delete NAME",
    ),
    "export_model": ("chatexports export-model NAME merged",),
    "demo": ("chatexports demo",),
}


class Command(TyperCommand):
    """A command whose flags are not shown as if they took a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, each with what it takes."""
        return _shown_plainly(super().get_params(ctx))


class Group(TyperGroup):
    """The command itself, in the same way."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, each with what it takes."""
        return _shown_plainly(super().get_params(ctx))


def text_of(command: Callable[..., object]) -> str:
    """Return a command's docstring with each paragraph as one line."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def examples_of(command: Callable[..., object]) -> str:
    """Return what may be typed, for the end of a command's help."""
    return "\n\n".join(("For example:", *_EXAMPLES[command.__name__]))


def _shown_plainly(parameters: Sequence[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperArgument):
            # Its name says it better than the type of a list does.
            parameter.display_type_rich = _nothing  # type: ignore[method-assign] # typer has no other way
        elif parameter.is_flag:
            parameter.metavar = ""
    return [*parameters]


def _nothing(ctx: Any) -> str:
    del ctx
    return ""
