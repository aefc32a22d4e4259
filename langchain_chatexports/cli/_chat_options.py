"""Options of commands that read exports: which, and which of their chats."""

# No postponed annotations here: typer reads them at run time.
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from langchain_chatexports.cli._console import say
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.recognition import Export, ExportOptions
    from langchain_chatexports.datasets.chat_choice import ChatChoice

__all__ = [
    "ChatOptions",
    "Contacts",
    "Paths",
    "People",
    "ReadingOptions",
    "check_format_options",
    "open_exports",
    "own_messages_or",
    "refuse_chats_of_examples",
]

# The panels of the help.
_CHATS = "Which chats"
_READING = "What an export does not say"
_DAY = "%Y-%m-%d"
# By what the loaders call them; and who has them, in words.
_OF_SOME_FORMATS = {
    "contacts": ("--contacts", "exports of iMessage"),
    "timezone": ("--export-zone", "exports of WhatsApp and Telegram, and tables"),
    "date_order": ("--date-order", "exports of WhatsApp, and tables"),
    "columns": ("--column", "tables"),
}

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Exports: an iMessage chat.db (or its folder, or an iPhone's backup), a "
        "Messenger export (zip, folder or one thread's file), a Telegram result.json, "
        "chats of WhatsApp, Discord or Slack (zip, folder or file), a table (Parquet, "
        "JSON lines, CSV). The format is recognized by content. On a Mac, without a "
        "PATH: its own Messages.",
        show_default=False,
        readable=False,  # Otherwise typer answers instead of our error with the remedy.
    ),
]
Contacts = Annotated[
    Path | None,
    typer.Option(
        "--contacts",
        metavar="FILE",
        help="Where names of people in an iMessage export come from: a vCard file "
        "(.vcf) or an address book. Without it: the address book that belongs to the "
        "export, if it is there.",
        show_default=False,
    ),
]
People = Annotated[
    Path | None,
    typer.Option(
        "--people",
        metavar="FILE",
        help="Who has which names and handles, so that each person has one name in all "
        "exports: a line for each, the name to show, then the others, with semicolons "
        "between them. `chatexports people` proposes it.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class ChatOptions:
    """Which chats of the exports are read."""

    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="PERSON",
            rich_help_panel=_CHATS,
            help="Only conversations in which this person takes part, by name or "
            "handle; several times for several people, any of whom is enough.",
            show_default=False,
        ),
    ] = None
    no_groups: Annotated[
        bool,
        typer.Option("--no-groups", rich_help_panel=_CHATS, help="Leave out groups."),
    ] = False
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="CHAT",
            rich_help_panel=_CHATS,
            help="Only conversations with this title, participant or id; may be given "
            "several times.",
            show_default=False,
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="CHAT",
            rich_help_panel=_CHATS,
            help="No conversations with this title, participant or id; may be given "
            "several times.",
            show_default=False,
        ),
    ] = None
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE",
            formats=[_DAY, "%Y-%m", "%Y"],
            rich_help_panel=_CHATS,
            help="Only messages from this day, month or year on, such as 2024-05-31, "
            "2024-05 or 2024; days are UTC's.",
            show_default=False,
        ),
    ] = None
    until: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE",
            formats=[_DAY],
            rich_help_panel=_CHATS,
            help="Only messages up to this day, which is kept.",
            show_default=False,
        ),
    ] = None

    def choice(self) -> "ChatChoice":
        """Return the options as the library takes them.

        Raises:
            typer.BadParameter: If no day is between the dates.
        """
        from langchain_chatexports.datasets.chat_choice import ChatChoice

        if self.since and self.until and self.since > self.until:
            msg = "--since is after --until, so no message is left."
            raise typer.BadParameter(msg)
        return ChatChoice(
            people=tuple(self.with_ or ()),
            without_groups=self.no_groups,
            include=tuple(self.include or ()),
            exclude=tuple(self.exclude or ()),
            start=self.since.date() if self.since else None,
            end=self.until.date() if self.until else None,
        )

    def words(self) -> list[str]:
        """Return the options as they are typed, for a command to propose."""
        words: list[str] = []
        for option, names in (
            ("--with", self.with_),
            ("--include", self.include),
            ("--exclude", self.exclude),
        ):
            words += [word for name in names or () for word in (option, name)]
        for option, day in (("--since", self.since), ("--until", self.until)):
            words += [option, day.strftime(_DAY)] if day else []
        return [*words, *(["--no-groups"] if self.no_groups else [])]


@dataclass(frozen=True)
class ReadingOptions:
    """What some exports do not say of themselves."""

    export_zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            rich_help_panel=_READING,
            help="The time zone of the phone or computer that exported, such as "
            "Europe/Berlin, for times that name none: WhatsApp's, Telegram's old ones "
            "(without it, this machine's) and those of tables (without it, UTC).",
            show_default=False,
        ),
    ] = None
    date_order: Annotated[
        Literal["dmy", "mdy", "ymd"] | None,
        typer.Option(
            rich_help_panel=_READING,
            help="The order of day, month and year in a WhatsApp chat or a table, "
            "where no date tells it.",
            show_default=False,
        ),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="PART=NAME",
            rich_help_panel=_READING,
            help="The column of a table that holds a part of messages: conversation, "
            "text, sender, time, role, id, reply_to or title, such as text=Body; may "
            "be given several times.",
            show_default=False,
        ),
    ] = None

    def columns(self) -> dict[str, str]:
        """Return the columns by what they hold.

        Raises:
            typer.BadParameter: If an option names none, or a part that no message has.
        """
        from langchain_chatexports.chat_loaders.table import checked_columns

        pairs = [word.partition("=") for word in self.column or ()]
        if bad := [part for part, _, name in pairs if not part or not name]:
            msg = f"--column is PART=NAME, such as text=Body, and not {bad[0]!r}."
            raise typer.BadParameter(msg)
        try:
            return checked_columns({part: name for part, _, name in pairs})
        except ValueError as error:
            msg = f"--column: {error}"
            raise typer.BadParameter(msg) from None

    def zone(self) -> str | None:
        """Return the name of the time zone.

        Raises:
            typer.BadParameter: If there is no such zone.
        """
        from langchain_chatexports.chat_loaders.local_times import find_time_zone

        try:
            find_time_zone(self.export_zone)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        return self.export_zone

    def words(self) -> list[str]:
        """Return the options as they are typed, for a command to propose."""
        words = ["--export-zone", self.export_zone] if self.export_zone else []
        words += ["--date-order", self.date_order] if self.date_order else []
        return [*words, *(w for one in self.column or () for w in ("--column", one))]


def open_exports(
    paths: Iterable[Path],
    contacts: Path | None,
    chats: "ChatChoice",
    people: Path | None = None,
    reading: ReadingOptions | None = None,
) -> "list[Export]":
    """Recognize exports, and put the parts of one together.

    Args:
        paths: Files or folders.
        contacts: Where names of people in iMessage exports come from, if given.
        chats: Which chats are read.
        people: Who has which names and handles, if given.
        reading: What the exports do not say.

    Raises:
        ChatExportError: If one cannot be read, or is no export.
        typer.BadParameter: If an option is given that no export can use.
    """
    from langchain_chatexports.chat_loaders import recognition

    reading = reading or ReadingOptions()
    options: ExportOptions = {
        **chats.loader_options(),
        "people": people,
        "contacts": contacts,
        "timezone": reading.zone(),
        "date_order": reading.date_order,
        "columns": reading.columns(),
    }
    exports = recognition.open_exports(paths, **options)
    check_format_options(options, exports)
    return chats.selected(exports)


def check_format_options(options: "ExportOptions", exports: "Iterable[Export]") -> None:
    """Refuse options that no export can use.

    Raises:
        typer.BadParameter: If one is given, and there is no export of its format.
    """
    from langchain_chatexports.chat_loaders.recognition import takes_option

    loaders = {type(export.loader) for export in exports}
    given: Mapping[str, object] = options
    for name, (option, whose) in _OF_SOME_FORMATS.items():
        if given.get(name) and not any(takes_option(one, name) for one in loaders):
            msg = f"{option} is for {whose}, and there is none: leave it out."
            raise typer.BadParameter(msg)


def refuse_chats_of_examples(chats: "ChatChoice") -> None:
    """Refuse to choose chats of examples, which would be used with all of them.

    Raises:
        ExportFormatError: If chats are chosen.
    """
    if not chats.is_everything:
        msg = (
            "These are examples, and chats are chosen of exports (--with, --no-groups, "
            "--include, --exclude, --since, --until). Take a person or a conversation "
            "out of examples with: chatexports forget"
        )
        raise ExportFormatError(msg)


def own_messages_or(paths: Sequence[Path] | None) -> list[Path]:
    """Return the paths that were named, or on a Mac its own Messages.

    Args:
        paths: What was named.

    Raises:
        typer.BadParameter: If nothing was named, and this is not a Mac.
        ExportNotFoundError: If there are no Messages on this Mac.
        ExportAccessError: If the system refuses access to them.
    """
    from langchain_chatexports.chat_loaders.imessage.database import path_status
    from langchain_chatexports.chat_loaders.imessage.sources import default_path

    if paths:
        return list(paths)
    if platform.system() != "Darwin":
        msg = "Name an export: a chat.db, a zip or folder of chats, a table."
        raise typer.BadParameter(msg)
    path = default_path()
    try:
        path_status(path)
    except ExportNotFoundError as error:
        msg = f"This Mac has no Messages database at {path}. Name an export."
        raise ExportNotFoundError(msg) from error
    say(f"No export was named, so this Mac's own Messages are read: {path}")
    return [path]
