"""Options shared by several commands.

A group of options is a dataclass with one field per option. A command decorated with
`command` can take such a dataclass as a parameter.
"""

# No postponed annotations here: typer reads them at run time.
import inspect
import os
import platform
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from langchain_chatexports._files import is_pipe
from langchain_chatexports._terminal import one_line
from langchain_chatexports._translation import _
from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.chat_loaders.date_order import ORDERS, DateOrder
from langchain_chatexports.chat_loaders.local_times import find_time_zone
from langchain_chatexports.chat_loaders.pipe import read_loaders
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import Export, ExportOptions
from langchain_chatexports.chat_loaders.recognition import open_exports as _open_exports
from langchain_chatexports.cli._console import say
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.workflows.chat_filter import ChatFilter

if TYPE_CHECKING:  # `chatexports inspect` needs no steps, and not what they import.
    from langchain_chatexports.steps.training_steps import Gap
    from langchain_chatexports.workflows.preparation import Preparation, PrepareOptions

_Result = TypeVar("_Result")

_PAIR = 2
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def option(metavar: str, help: str, *names: str, **limits: float) -> Any:
    """Return an option with a value, named after the parameter by default."""
    return typer.Option(*names, metavar=metavar, help=help, **cast("Any", limits))


def flag(name: str, help: str) -> Any:
    return typer.Option(name, help=help)


def command(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Let a command take groups of options.

    In the signature that typer reads, a dataclass parameter is replaced by its fields;
    the command itself receives an instance.
    """
    signature = inspect.signature(function, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        group = parameter.annotation
        if is_dataclass(group):
            groups[name] = group
            options = inspect.signature(cast("type", group)).parameters.values()
            parameters += [
                option.replace(kind=option.KEYWORD_ONLY) for option in options
            ]
        else:
            parameters.append(parameter)

    @wraps(function)
    def run(**values: Any) -> _Result:
        for name, group in groups.items():
            names = [field.name for field in fields(group)]
            values[name] = group(**{field: values.pop(field) for field in names})
        return function(**values)

    run.__annotations__ = {
        parameter.name: parameter.annotation for parameter in parameters
    }
    typer_signature = signature.replace(parameters=parameters)
    run.__signature__ = typer_signature  # type: ignore[attr-defined] # PEP 362 allows it
    return run


def check(*rules: tuple[object, str]) -> None:
    """Raise a usage error for the first violated rule."""
    for is_violated, message in rules:
        if is_violated:
            raise typer.BadParameter(message)


def parse_duration(text: str, option: str, *, alternatives: str = "") -> timedelta:
    """Parse a duration, such as `45m`, `6h` or `2d`."""
    try:
        duration = timedelta(**{_UNITS[text[-1:]]: float(text[:-1])})
    except (KeyError, ValueError, OverflowError):
        duration = timedelta(0)
    if duration <= timedelta(0):
        examples = f"{alternatives}45m, 6h, 2d"
        msg = _(
            "{option} must be a duration ({examples}), not “{text}”.",
            option=option,
            examples=examples,
            text=text,
        )
        raise typer.BadParameter(msg)
    return duration


def parse_gap(text: str) -> "Gap":
    """Parse the gap that separates dialogues."""
    if text in {"auto", "none"}:
        return "auto" if text == "auto" else None
    return parse_duration(text, "--gap", alternatives="auto, none, ")


def _parse_day(text: str | None, option: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        msg = _(
            "{option} must be a date such as 2024-05-31, not “{text}”.",
            option=option,
            text=text,
        )
        raise typer.BadParameter(msg) from None


Force = Annotated[bool, flag("--force", "Overwrite the output.")]
AsJson = Annotated[bool, flag("--json", "Print JSON on stdout.")]
Base = Annotated[
    str | None,
    option(
        "BASE",
        "Base model: folder, .gguf file or hub id. List: serve --list-bases.",
    ),
]
DataDir = Annotated[
    Path | None,
    option("FOLDER", "Folder for models. Default: in your user data folder."),
]
IndexDir = Annotated[
    Path | None,
    option("FOLDER", "Folder for indexes. Default: in your user data folder."),
]
BaseUrl = Annotated[
    str | None, option("URL", "OpenAI-compatible server; key: OPENAI_API_KEY.")
]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Exports: chat.db, zips, folders or files, recognized by content. Default "
        "on a Mac: its Messages database.",
        readable=False,  # This command's error suggests a fix, unlike typer's.
    ),
]
Ai = Annotated[
    list[str] | None,
    option(
        "NAME",
        "Person to imitate; repeat it for aliases. Default: the export's owner.",
    ),
]


@dataclass(frozen=True)
class ChatOptions:
    with_: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Only chats with this person, title or id; repeatable.",
            "--with",
        ),
    ] = None
    no_groups: Annotated[bool, flag("--no-groups", "Skip group chats.")] = False
    since: Annotated[
        str | None,
        option("DATE", "Only messages since a date (2024-05-31, UTC)."),
    ] = None
    until: Annotated[
        str | None, option("DATE", "Only messages until this date (inclusive).")
    ] = None
    people: Annotated[
        list[Path] | None,
        option("FILE", "Names of people: a table, or contacts (.vcf)."),
    ] = None
    export_zone: Annotated[
        str | None,
        option(
            "ZONE",
            "Zone of times that have none: Europe/Berlin.",
        ),
    ] = None
    date_order: Annotated[
        str | None,
        option(
            "ORDER",
            "Order of ambiguous dates in WhatsApp: dmy, mdy or ymd.",
            hidden=True,  # A warning suggests it.
        ),
    ] = None

    def choice(self) -> ChatFilter:
        start = _parse_day(self.since, "--since")
        end = _parse_day(self.until, "--until")
        is_empty = start and end and start > end
        check((is_empty, _("--since is after --until.")))
        return ChatFilter(self.no_groups, tuple(self.with_ or ()), start=start, end=end)

    def export_options(self, choice: ChatFilter) -> ExportOptions:
        """Return the options for opening exports."""
        check(
            (
                self.date_order not in {None, *ORDERS},
                f"--date-order must be one of {', '.join(ORDERS)}.",
            ),
        )
        try:
            find_time_zone(self.export_zone)
        except ValueError as error:
            msg = f"--export-zone: {error}"
            raise typer.BadParameter(msg) from None
        return {
            **choice.loader_options(),
            "people": tuple(self.people or ()) or None,
            "timezone": self.export_zone,
            "date_order": cast("DateOrder | None", self.date_order),
            "columns": None,
        }

    def to_prepare_options(self) -> "PrepareOptions":
        from langchain_chatexports.workflows.preparation import PrepareOptions

        options = self.export_options(self.choice())
        return PrepareOptions(
            people=tuple(self.people or ()),
            export_zone=self.export_zone,
            date_order=options["date_order"],
            chats=self.choice(),
        )

    def to_arguments(self) -> list[str]:
        """Return the options as command-line arguments."""
        arguments = []
        for name, value in vars(self).items():
            option = f"--{name.strip('_').replace('_', '-')}"
            if value is True:
                arguments.append(option)
            elif value:
                values = value if isinstance(value, list) else [value]
                for item in values:
                    arguments += [option, str(item)]
        return arguments


@dataclass(frozen=True)
class SourceOptions(ChatOptions):
    """Options that include and exclude chats."""

    exclude: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Skip chats with this person, title or id; repeatable.",
            "--exclude",
        ),
    ] = None

    def choice(self) -> ChatFilter:
        return replace(super().choice(), exclude=tuple(self.exclude or ()))


@dataclass(frozen=True)
class ExampleOptions:
    """Options for splitting chats into examples."""

    ai: Ai = None
    limit: Annotated[int | None, option("N", "Only the newest N examples.", min=1)] = (
        None
    )
    gap: Annotated[
        str,
        option(
            "DURATION",
            "Split chats at gaps longer than this: 45m, 6h, 2d, auto or none.",
        ),
    ] = "auto"
    size: Annotated[int, option("N", "Messages per example.", min=1)] = 8
    overlap: Annotated[
        int, option("N", "Messages shared by neighboring examples.", min=0)
    ] = 2
    whole: Annotated[bool, flag("--whole", "One example per dialogue.")] = False
    keep_tail: Annotated[
        bool | None,
        flag(
            "--keep-tail/--no-keep-tail",
            "Keep a shorter last example. Default: yes, unless --gap is none.",
        ),
    ] = None
    keep_trailing: Annotated[
        bool, flag("--keep-trailing", "Keep messages after the last reply.")
    ] = False

    def to_prepare_options(self, chats: ChatOptions) -> "PrepareOptions":
        check(
            (
                self.overlap >= self.size and not self.whole,
                f"--overlap ({self.overlap}) must be less than --size ({self.size}).",
            )
        )
        parsed_values = {"ai": tuple(self.ai or ()), "gap": parse_gap(self.gap)}
        values = {**vars(self), **parsed_values}
        return replace(chats.to_prepare_options(), **values)


def open_exports(paths: Iterable[Path], chats: ChatOptions) -> list[Export]:
    """Open exports; join the parts of split ones."""
    return _open(paths, chats, chats.choice())


def read_exports(
    paths: Sequence[Path],
    chats: ChatOptions,
    read: Callable[[list[Export], list[Reading], tuple[str, ...]], _Result],
    ai: Sequence[str] = (),
) -> _Result:
    """Read exports; if a name is not found, correct it and read them again."""
    names = (chats.choice(), tuple(ai))
    exports = _open(paths, chats, names[0])
    readings = read_loaders(export.loader for export in exports)

    def read_checked(choice: ChatFilter, ai: tuple[str, ...]) -> _Result:
        result = read(exports, readings, ai)
        choice.check_names(readings)
        return result

    try:
        return read_checked(*names)
    except SenderNotFoundError as error:
        from langchain_chatexports.workflows.names import correct_names

        choice, corrected_ai = correct_names(*names, readings, error)
        if (choice, corrected_ai) == names:
            raise
        exports = _open(paths, chats, choice)
        readings = read_loaders(export.loader for export in exports)
        return read_checked(choice, corrected_ai)


def _open(
    paths: Iterable[Path], chats: ChatOptions, choice: ChatFilter
) -> list[Export]:
    return _open_exports(paths, **chats.export_options(choice))


def resolve_paths(paths: Sequence[Path] | None) -> list[Path]:
    """Return the given paths; without any, this Mac's Messages database."""
    if paths:
        return list(paths)
    is_mac = platform.system() == "Darwin"
    check(
        (
            not is_mac,
            _("Specify an export: a chat.db, a zip or folder of chats, or a table."),
        )
    )
    from langchain_chatexports.chat_loaders.imessage.sources import default_path

    path = default_path()
    say("No export given; reading this Mac's Messages database: {path}", path=path)
    return [path]


def print_owners(preparation: "Preparation") -> None:
    """Print the owners, who are imitated by default."""
    from langchain_chatexports.workflows.prepare import find_default_speakers

    owners = find_default_speakers(preparation)
    for export, owner in owners:
        say(
            "{file}: imitating its owner, {owner}",
            file=export.path.name,
            owner=owner,
        )
    partner = find_partner(summary for _, summary in preparation.summaries())
    if owners and partner:
        option = f"--ai {shlex.quote(one_line(partner))}"
        say("For the other person: {option}", option=option)


def find_partner(summaries: Iterable[ExportSummary]) -> str | None:
    """Return the other person of chats between the owner and one person."""
    owners: set[str | None] = set()
    senders: set[str] = set()
    for summary in summaries:
        owners.add(summary.owner)
        senders |= summary.senders.keys()
    others = senders - owners
    return others.pop() if len(senders) == len(others) + 1 == _PAIR else None


def check_output(output: Path, paths: Iterable[Path] = (), *, force: bool) -> None:
    """Raise a usage error if the output already exists or is inside an export.

    Empty files and empty folders are replaced.
    """
    if export := _find_enclosing_export(output, paths):
        msg = _(
            "-o {output} is inside the export {export}. Choose a path outside it.",
            output=output,
            export=export,
        )
        raise typer.BadParameter(msg)
    target = output.expanduser()
    if force or not target.name:  # For `.` or the root, writing raises an error.
        return
    from langchain_chatexports.datasets.trace_file import card_path, trace_path

    for path in (target, card_path(target), trace_path(target)):
        if not _is_empty(path):
            msg = _(
                "{path} already exists. Choose another path with -o, or overwrite it "
                "with --force.",
                path=path,
            )
            raise typer.BadParameter(msg)


def _find_enclosing_export(output: Path, paths: Iterable[Path]) -> Path | None:
    """Return the export that contains an output path, if any."""
    target = output.expanduser().resolve()
    for path in paths:
        source = path.expanduser().resolve()
        if target == source or (source.is_dir() and source in target.parents):
            return path
    return None


def _is_empty(path: Path) -> bool:
    # Before Python 3.12, `Path.exists` raises an error for long names.
    if not os.path.exists(path) or is_pipe(path):  # noqa: PTH110 - see above
        return True
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0
