"""The options that commands share, declared once, and how a command takes them.

A group of options is a dataclass whose fields are options. A command that has a
parameter of such a type, and the decorator `command`, takes all of its options.
"""

# No postponed annotations here: typer reads them at run time.
import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from langchain_chatexports._files import is_pipe

__all__ = [
    "AsJson",
    "Base",
    "DataDir",
    "Epochs",
    "Force",
    "Quantize",
    "Time",
    "command",
    "refuse_to_overwrite",
    "refuse_to_replace",
]

_Result = TypeVar("_Result")


def command(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Let a command take groups of options.

    typer reads a command's signature. In it, a parameter whose type is a dataclass is
    replaced by the dataclass's fields; the command is called with an instance of it.

    Args:
        function: The command.

    Returns:
        The command with the signature that typer reads.
    """
    signature = inspect.signature(function, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if is_dataclass(parameter.annotation):
            groups[name] = parameter.annotation
            parameters += _parameters_of(parameter.annotation)
        else:
            parameters.append(parameter)

    @wraps(function)
    def run(**given: Any) -> _Result:
        for name, group in groups.items():
            values = {field.name: given.pop(field.name) for field in fields(group)}
            given[name] = group(**values)
        return function(**given)

    run.__annotations__ = {item.name: item.annotation for item in parameters}
    read_by_typer = signature.replace(parameters=parameters)
    run.__signature__ = read_by_typer  # type: ignore[attr-defined] # PEP 362 allows it
    return run


def _parameters_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace what is at the output's path.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="BASE",
        help="Base model: a folder, a .gguf file or a hub id. Without it: "
        "SmolLM2-135M-Instruct, a tiny demo model.",
        show_default=False,
    ),
]
Quantize = Annotated[
    str | None,
    typer.Option(
        "--quantize",
        metavar="TYPE",
        help="What the base's weights are converted to for llama.cpp: none, f16, bf16, "
        "q8_0 (which it is without this), q5_1, q5_0, q4_1 or q4_0. A .gguf file is "
        "served as it is.",
        show_default="q8_0",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the local server keeps its files and models. Without it: your "
        "user data folder.",
        show_default=False,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=50,
        help="Passes over the data.",
        show_default="auto",
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Choose the base: the best one that fits this machine's memory and "
        "trains within this time, such as 30m or 2h. Asks before a download.",
        show_default=False,
    ),
]


def refuse_to_overwrite(output: Path, paths: Iterable[Path]) -> None:
    """Make sure that an output is not an export, nor inside one.

    Args:
        output: What will be written.
        paths: The exports.

    Raises:
        typer.BadParameter: If it is.
    """
    target = output.expanduser().resolve()
    for path in paths:
        source = path.expanduser().resolve()
        if target == source or (source.is_dir() and source in target.parents):
            msg = f"-o {output} would write into {path}: name a place outside of it."
            raise typer.BadParameter(msg)


def refuse_to_replace(output: Path, *, force: bool) -> None:
    """Make sure that an output replaces nothing; an empty file or folder is nothing.

    Args:
        output: What will be written, with a data card and a trace if it is a set.
        force: Whether it may.

    Raises:
        typer.BadParameter: If it would and may not.
    """
    from langchain_chatexports.datasets.trace_file import card_path, trace_path

    path = output.expanduser()
    if force or not path.name:  # `.` or the root: writing there fails.
        return
    for place in (path, card_path(path), trace_path(path)):
        if not _is_empty(place):
            msg = (
                f"{place} is there already. Name another path with -o, or replace it "
                "with --force."
            )
            raise typer.BadParameter(msg)


def _is_empty(path: Path) -> bool:
    # `Path.exists` raises for a name that is too long, below Python 3.12.
    if not os.path.exists(path) or is_pipe(path):  # noqa: PTH110 - see above
        return True
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0
