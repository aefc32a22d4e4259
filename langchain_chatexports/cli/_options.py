"""The shared options of commands, as dataclasses.

A group of options is a dataclass whose fields are options. A command that has a
parameter of such a type, and the decorator `command`, takes all of its options.
"""

# No postponed annotations here: typer reads them at run time.
import inspect
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date, timedelta
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer

from langchain_chatexports._files import is_pipe
from langchain_chatexports.chat_loaders.date_order import ORDERS, DateOrder
from langchain_chatexports.chat_loaders.imessage.sources import default_path
from langchain_chatexports.chat_loaders.local_times import find_time_zone
from langchain_chatexports.chat_loaders.recognition import Export
from langchain_chatexports.chat_loaders.recognition import open_exports as _open_exports
from langchain_chatexports.cli._console import print_line
from langchain_chatexports.datasets.chat_choice import ChatChoice
from langchain_chatexports.datasets.preparation import Gap, Preparation, PrepareOptions
from langchain_chatexports.datasets.trace_file import card_path, trace_path
from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.workflows.prepare import (
    correct_names,
    matching_names,
    speakers,
)

_Result = TypeVar("_Result")

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# A vCard file, and the address books of macOS and of a backup.
_CONTACTS = (".vcf", ".VCF", ".abcddb", ".sqlitedb")


def option(metavar: str, help: str, *names: str, **limits: float) -> Any:
    """Return an option with a value; its default name is the parameter's."""
    return typer.Option(*names, metavar=metavar, help=help, **cast("Any", limits))


def flag(name: str, help: str) -> Any:
    return typer.Option(name, help=help)


def command(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Let a command take groups of options.

    typer reads a command's signature. In it, a parameter whose type is a dataclass is
    replaced by the dataclass's fields; the command is called with an instance of it.
    """
    signature = inspect.signature(function, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        group = parameter.annotation
        if is_dataclass(group):
            groups[name] = group
            options = inspect.signature(cast("type", group)).parameters.values()
            parameters += [one.replace(kind=one.KEYWORD_ONLY) for one in options]
        else:
            parameters.append(parameter)

    @wraps(function)
    def run(**given: Any) -> _Result:
        for name, group in groups.items():
            given[name] = group(
                **{one.name: given.pop(one.name) for one in fields(group)}
            )
        return function(**given)

    run.__annotations__ = {item.name: item.annotation for item in parameters}
    read_by_typer = signature.replace(parameters=parameters)
    run.__signature__ = read_by_typer  # type: ignore[attr-defined] # PEP 362 allows it
    return run


def check(*rules: tuple[object, str]) -> None:
    """Raise an error of usage for the first rule that is broken."""
    for is_broken, message in rules:
        if is_broken:
            raise typer.BadParameter(message)


def parse_duration(text: str, option: str, *, words: str = "") -> timedelta:
    """Return a duration: a number with its unit, such as `45m`, `6h`, `2d`."""
    try:
        duration = timedelta(**{_UNITS[text[-1:]]: float(text[:-1])})
    except (KeyError, ValueError, OverflowError):
        duration = timedelta(0)
    if duration <= timedelta(0):
        msg = f"{option} must be {words}a duration such as 45m, 6h, 2d: {text!r}."
        raise typer.BadParameter(msg)
    return duration


def parse_gap(text: str) -> Gap:
    """Return the silence that separates threads."""
    if text in {"auto", "none"}:
        return "auto" if text == "auto" else None
    return parse_duration(text, "--gap", words="auto, none, or ")


def _parse_day(text: str | None, option: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        msg = f"{option} must be a date such as 2024-05-31, not {text!r}."
        raise typer.BadParameter(msg) from None


Force = Annotated[bool, flag("--force", "Replace what is at the output's path.")]
AsJson = Annotated[bool, flag("--json", "Print JSON on stdout.")]
Base = Annotated[
    str | None,
    option(
        "BASE",
        "Base model: a folder, a .gguf file or a hub id; see serve --list-bases.",
    ),
]
DataDir = Annotated[
    Path | None, option("FOLDER", "Where models are kept. Default: your user data.")
]
IndexDir = Annotated[
    Path | None,
    option("FOLDER", "Where search indexes are kept. Default: your user data."),
]
BaseUrl = Annotated[
    str | None, option("URL", "Another server like OpenAI's, with OPENAI_API_KEY.")
]
Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Exports: chat.db, zips, folders or files, recognized by content. On a "
        "Mac, without a PATH: its own Messages.",
        readable=False,  # Otherwise typer answers instead of our error with the remedy.
    ),
]
Ai = Annotated[
    list[str] | None,
    option(
        "NAME",
        "Whose voice; may be repeated for one person's names. Default: the "
        "export's owner.",
    ),
]


@dataclass(frozen=True)
class ChatOptions:
    with_: Annotated[
        list[str] | None,
        option(
            "NAME",
            "Only chats with this person, title or id; may be repeated.",
            "--with",
        ),
    ] = None
    no_groups: Annotated[bool, flag("--no-groups", "Leave out groups.")] = False
    since: Annotated[
        str | None,
        option("DATE", "Only from this day on, such as 2024-05-31, in UTC."),
    ] = None
    until: Annotated[str | None, option("DATE", "Only up to this day, inclusive.")] = (
        None
    )
    people: Annotated[
        list[Path] | None,
        option("FILE", "Names of people: a table, or contacts (.vcf) for iMessage."),
    ] = None
    export_zone: Annotated[
        str | None,
        option(
            "ZONE",
            "Zone of times that have none (Europe/Berlin). Default: this machine's.",
            hidden=True,  # A warning names it where it is needed.
        ),
    ] = None
    date_order: Annotated[
        str | None,
        option(
            "ORDER",
            "dmy, mdy or ymd, if WhatsApp's dates are ambiguous.",
            hidden=True,  # As above.
        ),
    ] = None

    def choice(self) -> ChatChoice:
        start = _parse_day(self.since, "--since")
        end = _parse_day(self.until, "--until")
        is_nothing = start and end and start > end
        check((is_nothing, "--since is after --until, so no message is left."))
        return ChatChoice(self.no_groups, tuple(self.with_ or ()), start=start, end=end)

    def prepare_options(self) -> PrepareOptions:
        files = [path.expanduser() for path in self.people or ()]
        contacts = [one for one in files if one.is_dir() or one.suffix in _CONTACTS]
        tables = [one for one in files if one not in contacts]
        check(
            (
                len(contacts) > 1 or len(tables) > 1,
                "--people takes one table, and one file of contacts beside it.",
            ),
            (
                self.date_order not in {None, *ORDERS},
                f"--date-order is one of {', '.join(ORDERS)}.",
            ),
        )
        try:
            find_time_zone(self.export_zone)
        except ValueError as error:
            msg = f"--export-zone: {error}"
            raise typer.BadParameter(msg) from None
        return PrepareOptions(
            people=next(iter(tables), None),
            contacts=next(iter(contacts), None),
            export_zone=self.export_zone,
            date_order=cast("DateOrder | None", self.date_order),
            chats=self.choice(),
        )

    def words(self) -> list[str]:
        """Return the options as the words of a command line."""
        words = []
        for name, value in vars(self).items():
            option = f"--{name.strip('_').replace('_', '-')}"
            if value is True:
                words.append(option)
            elif value:
                given = value if isinstance(value, list) else [value]
                words += [str(word) for one in given for word in (option, one)]
        return words


@dataclass(frozen=True)
class SourceOptions(ChatOptions):
    """The choice of included and excluded chats."""

    exclude: Annotated[
        list[str] | None,
        option(
            "NAME",
            "No chats with this person, title or id; may be repeated.",
            "--exclude",
        ),
    ] = None

    def choice(self) -> ChatChoice:
        return replace(super().choice(), exclude=tuple(self.exclude or ()))


@dataclass(frozen=True)
class ExampleOptions:
    """The options for cutting conversations into examples."""

    ai: Ai = None
    limit: Annotated[int | None, option("N", "The newest N examples only.", min=1)] = (
        None
    )
    gap: Annotated[
        str,
        option(
            "DURATION",
            "Cut threads at silences longer than this: 45m, 6h, 2d, auto or none.",
        ),
    ] = "auto"
    size: Annotated[int, option("N", "Messages in an example.", min=1)] = 8
    overlap: Annotated[int, option("N", "Messages that neighbors share.", min=0)] = 2
    whole: Annotated[bool, flag("--whole", "One example per conversation.")] = False
    keep_tail: Annotated[
        bool | None,
        flag(
            "--keep-tail/--no-keep-tail",
            "Add a shorter last example. Default: unless --gap none.",
        ),
    ] = None
    keep_trailing: Annotated[
        bool, flag("--keep-trailing", "Keep messages after the last answer.")
    ] = False

    def prepare_options(self, chats: ChatOptions) -> PrepareOptions:
        check(
            (
                self.overlap >= self.size and not self.whole,
                f"--overlap ({self.overlap}) must be less than --size ({self.size}).",
            )
        )
        read = {"ai": tuple(self.ai or ()), "gap": parse_gap(self.gap)}
        return replace(chats.prepare_options(), **{**vars(self), **read})


def open_exports(paths: Iterable[Path], chats: ChatOptions) -> list[Export]:
    """Open exports; the parts of one are joined."""
    return _open(paths, chats, chats.choice())


def read_exports(
    paths: Sequence[Path],
    chats: ChatOptions,
    read: Callable[[list[Export], ChatChoice, tuple[str, ...]], _Result],
    ai: Sequence[str] = (),
) -> _Result:
    """Read exports, and read them again if a name has to be corrected."""
    given = (chats.choice(), tuple(ai))
    exports = _open(paths, chats, given[0])
    try:
        return read(exports, *given)
    except SenderNotFoundError as error:
        # Titles of chats may begin like a sender's name.
        known = error.senders or {
            name for export in exports for name in export.loader.names_found
        }
        choice = correct_names(given[0], exports)
        meant = (choice, matching_names(ai, known, exports))
        if meant == given:
            raise
        return read(_open(paths, chats, choice), *meant)


def _open(
    paths: Iterable[Path], chats: ChatOptions, choice: ChatChoice
) -> list[Export]:
    options = replace(chats.prepare_options(), chats=choice)
    return choice.selected(_open_exports(paths, **options.export_options()))


def default_export(paths: Sequence[Path] | None) -> list[Path]:
    """Return the given paths, or on a Mac its own Messages."""
    if paths:
        return list(paths)
    is_mac = platform.system() == "Darwin"
    check((not is_mac, "Name an export: a chat.db, a zip or folder of chats, a table."))
    path = default_path()
    print_line(f"No export was named, so this Mac's own Messages are read: {path}")
    return [path]


def print_owners(preparation: Preparation) -> None:
    """Print whose voice is learned by default."""
    for export, owner in speakers(preparation):
        print_line(f"{export.path.name}: {owner} speaks as the AI (the export's owner)")


def unused_path(name: str, paths: Iterable[Path]) -> Path:
    folder = Path()
    while _export_around(folder / name, paths):
        folder /= ".."
    target, number = folder / name, 2
    while not _is_empty(target):
        stem, dot, suffix = name.partition(".")
        target, number = folder / f"{stem}-{number}{dot}{suffix}", number + 1
    return target


def check_output(output: Path, paths: Iterable[Path] = (), *, force: bool) -> None:
    """Raise an error if an output is inside of an export, or would replace something.

    A file without content and an empty folder can be replaced.
    """
    if path := _export_around(output, paths):
        msg = f"-o {output} is inside {path}. Name a path outside of it."
        raise typer.BadParameter(msg)
    target = output.expanduser()
    if force or not target.name:  # `.` or the root: writing there fails.
        return
    for one in (target, card_path(target), trace_path(target)):
        if not _is_empty(one):
            msg = (
                f"{one} already exists. Name another path with -o, or replace it "
                "with --force."
            )
            raise typer.BadParameter(msg)


def _export_around(output: Path, paths: Iterable[Path]) -> Path | None:
    """Return the export that an output would be in; `None` if there is none."""
    target = output.expanduser().resolve()
    for path in paths:
        source = path.expanduser().resolve()
        if target == source or (source.is_dir() and source in target.parents):
            return path
    return None


def _is_empty(path: Path) -> bool:
    # `Path.exists` raises for a name that is too long, below Python 3.12.
    if not os.path.exists(path) or is_pipe(path):  # noqa: PTH110 - see above
        return True
    return not any(path.iterdir()) if path.is_dir() else path.stat().st_size == 0
