"""Errors and warnings as lines in the terminal's language, with the options to use."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from langchain_chatexports._files import is_full
from langchain_chatexports._terminal import escaped
from langchain_chatexports._translation import Sentence, _, translated
from langchain_chatexports.cli._console import command_line, say
from langchain_chatexports.datasets.example_files import find_examples
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportWarning,
    UnknownFormatError,
)

# Options that are not named after their parameter.
_OPTIONS = {
    "end": "--until",
    "include": "--with",
    "start": "--since",
    "timezone": "--export-zone",
    "without_groups": "--no-groups",
}


def print_error(error: BaseException) -> None:
    """Print what failed, and what to do."""
    say("error: {text}", text=error_text(error))


def error_text(error: BaseException) -> str:
    """Return what failed, and what to do."""
    if isinstance(error, UnknownFormatError) and error.path is not None:
        has_examples, examples = find_examples(error.path)
        if has_examples:
            return _examples_text(error.path, examples)
    if isinstance(error, ChatExportError):
        return _with_options(error.args[0] if error.args else "", error.parameters)
    if not isinstance(error, OSError):
        # The error's message may quote a chat message.
        return _(
            "unexpected {name}. Run it again with --debug, and report the traceback.",
            name=type(error).__name__,
        )
    if is_full(error):
        return _("the disk is full. Free some space and run the same command again.")
    return _(
        "the system reports '{reason}'{path}. Run it again with --debug for details.",
        reason=error.strerror or type(error).__name__,
        path=f" ({error.filename})" if error.filename else "",
    )


def warning_text(warning: Warning) -> str:
    """Return what is so, and for a guess how to correct it."""
    if not isinstance(warning, ExportWarning):
        return str(translated(warning.args[0] if warning.args else warning))
    message = warning.message
    if warning.guess is not None:
        name, value = warning.guess
        message = Sentence(
            "{message} If that is wrong, add {option} (for example).",
            message=message,
            option=f"{_option(name)} {value}",
        )
    return _with_options(message, warning.parameters)


def _examples_text(path: Path, examples: Path | None) -> str:
    if examples is None:
        return _("{path} is not an export: it contains training examples.", path=path)
    return _(
        "{path} is not an export: it contains training examples. Train on them with: "
        "{command}",
        path=path,
        command=command_line("finetune", examples),
    )


def _with_options(message: object, parameters: Iterable[str]) -> str:
    """Return a message with the options of a command in place of parameters."""
    text = "\n".join(map(escaped, str(translated(message)).split("\n")))
    options = {f"`{parameter}`": _option(parameter) for parameter in parameters}
    for parameter, option in options.items():
        text = text.replace(parameter, option)
    if missing := ", ".join(x for x in options.values() if x not in text):
        text = _("{message} Options: {options}.", message=text, options=missing)
    return text


def _option(parameter: str) -> str:
    return _OPTIONS.get(parameter, f"--{parameter.replace('_', '-')}")
