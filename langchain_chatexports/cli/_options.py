"""The options that commands share, declared once, and how a command takes them.

A group of options is a dataclass whose fields are options. A command that has a
parameter of such a type, and the decorator `command`, takes all of its options.
"""

# No postponed annotations here: typer reads them at run time.
import inspect
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from langchain_chatexports.cli._console import say, watching_count
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError

if TYPE_CHECKING:
    from langchain_chatexports.chat_loaders.options import LoaderOptions
    from langchain_chatexports.chat_loaders.recognition import Export
    from langchain_chatexports.datasets.chat_choice import ChatChoice
    from langchain_chatexports.datasets.preparation import Gap as GapLength
    from langchain_chatexports.datasets.preparation import PrepareOptions
    from langchain_chatexports.datasets.redaction import Redaction

__all__ = [
    "PRIVATE",
    "Ai",
    "AsJson",
    "Base",
    "ChatOptions",
    "Contacts",
    "DataDir",
    "ExampleOptions",
    "Force",
    "Gap",
    "Paths",
    "People",
    "RedactionOptions",
    "SpeakerOptions",
    "check_contacts",
    "command",
    "open_exports",
    "own_messages_or",
    "parse_gap",
    "refuse_chats_of_examples",
    "refuse_to_overwrite",
    "refuse_to_replace",
]

_Result = TypeVar("_Result")

# The panels of the help, shown behind the options without one.
_CUT = "How conversations become examples"
_DEPRECATED = "split_gap"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
PRIVATE = "Names and private numbers"
_CHATS = "Which chats"
_DAY = "%Y-%m-%d"


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
Ai = Annotated[
    list[str] | None,
    typer.Option(
        "--ai",
        metavar="NAME",
        help="Name or handle of the person whose voice the model learns; several times "
        "for several names of one person. Without it: the export's owner.",
        show_default=False,
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
Gap = Annotated[
    str,
    typer.Option(
        "--gap",
        metavar="DURATION",
        rich_help_panel=_CUT,
        help="Cut threads into conversations at silences longer than this: 45m, 6h or "
        "2d; auto finds the duration for each thread, none never cuts.",
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
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace what is at the output's path, also if another program or you "
        "have written it.",
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
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the local server keeps its files and models. Without it: your "
        "user data folder.",
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
            formats=[_DAY],
            rich_help_panel=_CHATS,
            help="Only messages from this day on, such as 2024-05-31; days are UTC's.",
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
class SpeakerOptions:
    """Whose voice the model learns, and where conversations are cut."""

    ai: Ai = None
    ai_role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="Role of the people whose voice the model learns, such as agent, in a "
            "table of support conversations.",
            show_default=False,
        ),
    ] = None
    contacts: Contacts = None
    people: People = None
    gap: Gap = "auto"
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_CUT,
            min=1,
            help="Keep the newest N examples only, by their last message: after "
            "--dedup, before --split.",
            show_default=False,
        ),
    ] = None

    def prepare_options(self) -> "PrepareOptions":
        """Return the options as the library takes them: each field by its name."""
        from langchain_chatexports.datasets.preparation import PrepareOptions

        given = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name != _DEPRECATED
        }
        given |= {"ai": tuple(self.ai or ()), "gap": parse_gap(self.gap)}
        return PrepareOptions(**given)


@dataclass(frozen=True)
class ExampleOptions(SpeakerOptions):
    """How conversations become examples."""

    size: Annotated[
        int,
        typer.Option(
            metavar="N", rich_help_panel=_CUT, min=1, help="Messages in an example."
        ),
    ] = 8
    overlap: Annotated[
        int,
        typer.Option(
            metavar="N",
            rich_help_panel=_CUT,
            min=0,
            help="Messages that neighboring examples share.",
        ),
    ] = 2
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            rich_help_panel=_CUT,
            help="One example per conversation, not windows; with --max-tokens, cut "
            "where it would be too long.",
        ),
    ] = False
    keep_tail: Annotated[
        bool | None,
        typer.Option(
            "--keep-tail/--no-keep-tail",
            rich_help_panel=_CUT,
            help="Add a shorter last example. Without it: where threads are cut, whose "
            "conversations are often short.",
            show_default=False,
        ),
    ] = None
    keep_trailing: Annotated[
        bool,
        typer.Option(
            "--keep-trailing",
            rich_help_panel=_CUT,
            help="Keep messages after the last answer.",
        ),
    ] = False
    split_gap: Annotated[
        str | None, typer.Option(hidden=True, help="Deprecated: use --gap.")
    ] = None
    max_messages: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_CUT,
            min=1,
            help="Cut longer conversations at their largest pause.",
            show_default=False,
        ),
    ] = None
    max_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            rich_help_panel=_CUT,
            min=1,
            help="Most tokens of text in an example, counted by bytes, on the safe "
            "side; never cuts inside a message. Leave room for a system prompt.",
            show_default=False,
        ),
    ] = None
    label_groups: Annotated[
        bool,
        typer.Option(
            "--label-groups",
            rich_help_panel=_CUT,
            help="In groups, put the speaker's name before each text except the AI's.",
        ),
    ] = False
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            metavar="TEXT",
            rich_help_panel=_CUT,
            help="A system prompt for each example; {others}, {owner}, {participants}, "
            "{platform} and {title} are filled in.",
            show_default=False,
        ),
    ] = None

    def prepare_options(self) -> "PrepareOptions":
        """Return the options as the library takes them.

        Raises:
            typer.BadParameter: If two of them do not go together.
        """
        if self.overlap >= self.size and not self.whole:
            msg = f"--overlap ({self.overlap}) must be less than --size ({self.size})."
            raise typer.BadParameter(msg)
        if self.split_gap is None:
            return super().prepare_options()
        if self.gap != "auto":
            msg = "--split-gap is deprecated: use --gap alone."
            raise typer.BadParameter(msg)
        # Its numbers are minutes; what is no number is refused as a gap.
        word = self.split_gap if self.split_gap == "auto" else f"{self.split_gap}m"
        say(f"warning: --split-gap is deprecated: use --gap {word}")
        return replace(self, gap=word, split_gap=None).prepare_options()


@dataclass(frozen=True)
class RedactionOptions:
    """What replaces names and private numbers."""

    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            rich_help_panel=PRIVATE,
            help="The redaction's key file, created if it does not exist. Whoever has "
            "it can undo the redaction.",
            show_default="OUTPUT.key",
        ),
    ] = None
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="NAME",
            rich_help_panel=PRIVATE,
            help="A further name to find, such as a nickname that only texts use; may "
            "be given several times.",
            show_default=False,
        ),
    ] = None
    presidio: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PRIVATE,
            metavar="MODEL",
            help="An installed spaCy pipeline, such as en_core_web_lg: Presidio looks "
            "for names too (needs the extra 'pii').",
            show_default=False,
        ),
    ] = None

    def redaction(self, output: Path) -> "Redaction":
        """Return the redaction of what is written to a path.

        Args:
            output: The redacted copy; the key file is beside it unless it was named.
        """
        from langchain_chatexports.datasets.redaction import Redaction, default_key_file

        if self.presidio is not None:
            from langchain_chatexports.redaction.presidio import presidio_engine

            # Kept for the redaction, which begins when the exports have been read.
            presidio_engine(self.presidio)
        return Redaction(
            self.key or default_key_file(output),
            names=self.name or (),
            presidio=self.presidio,
            watch=watching_count,
        )


def parse_gap(text: str) -> "GapLength":
    """Return the silence at which threads are cut.

    Args:
        text: `auto`, `none`, or a number with its unit: `45m`, `6h`, `2d`.

    Raises:
        typer.BadParameter: If it is none of these.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return None
    try:
        gap = timedelta(**{_UNITS[text[-1:]]: float(text[:-1])})
    except (KeyError, ValueError, OverflowError):
        gap = timedelta(0)
    if gap <= timedelta(0):
        msg = f"--gap must be auto, none, or a duration such as 45m, 6h, 2d: {text!r}."
        raise typer.BadParameter(msg)
    return gap


def open_exports(
    paths: Iterable[Path],
    contacts: Path | None,
    chats: "ChatChoice",
    people: Path | None = None,
) -> "list[Export]":
    """Recognize exports, and put the parts of one together.

    Args:
        paths: Files or folders.
        contacts: Where names of people in iMessage exports come from, if given.
        chats: Which chats are read.
        people: Who has which names and handles, if given.

    Raises:
        ChatExportError: If one cannot be read, or is no export.
        typer.BadParameter: If contacts are given and no export is of iMessage.
    """
    from langchain_chatexports.chat_loaders import recognition

    options: LoaderOptions = {**chats.loader_options(), "people": people}
    exports = recognition.open_exports(paths, contacts=contacts, **options)
    check_contacts(contacts, exports)
    return chats.selected(exports)


def check_contacts(contacts: Path | None, exports: "Iterable[Export]") -> None:
    """Refuse contacts that no export can use.

    Raises:
        typer.BadParameter: If contacts are given and no export is of iMessage.
    """
    if contacts is not None and all(
        export.loader.platform != "imessage" for export in exports
    ):
        msg = "--contacts is for exports of iMessage, and there is none: leave it out."
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
    """Make sure that an output replaces no file that is not of this program.

    Args:
        output: What will be written.
        force: Whether it may.

    Raises:
        typer.BadParameter: If it would and may not.
    """
    from langchain_chatexports.datasets.own_outputs import foreign_files

    if not force and (foreign := foreign_files(output)):
        msg = (
            f"{foreign[0]} is there already, and chatexports has not written it. Name "
            "another path with -o, or replace it with --force."
        )
        raise typer.BadParameter(msg)
