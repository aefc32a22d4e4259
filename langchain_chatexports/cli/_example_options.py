"""Options for how conversations become examples, and what is replaced in them."""

# No postponed annotations here: typer reads them at run time.
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_chatexports.cli._chat_options import Contacts, People, ReadingOptions
from langchain_chatexports.cli._console import say, watching_count
from langchain_chatexports.cli._durations import parse_gap
from langchain_chatexports.datasets.chat_prompts import DEFAULT_REPLIES

if TYPE_CHECKING:
    from langchain_chatexports.datasets.preparation import PrepareOptions
    from langchain_chatexports.datasets.redaction import Redaction

__all__ = [
    "MAX_REPLIES",
    "PRIVATE",
    "Ai",
    "ExampleOptions",
    "Gap",
    "RedactionOptions",
    "SpeakerOptions",
    "Validation",
]

MAX_REPLIES = 20
_DEPRECATED = "split_gap"
# The panels of the help.
_CUT = "How conversations become examples"
PRIVATE = "Names and private numbers"

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
Validation = Annotated[
    str,
    typer.Option(
        metavar="auto|none|SHARE",
        help="Hold out a share of the examples, such as 0.1, the newest "
        "conversations, and keep the epoch that is best on them; auto holds out a "
        "tenth, 200 at most, where there is enough to train on this machine.",
    ),
]


@dataclass(frozen=True)
class SpeakerOptions(ReadingOptions):
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
        given |= {
            "ai": tuple(self.ai or ()),
            "gap": parse_gap(self.gap),
            "export_zone": self.zone(),
            "column": tuple(self.columns().items()),
        }
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
    overlap_as_context: Annotated[
        bool,
        typer.Option(
            "--learn-once/--learn-twice",
            rich_help_panel=_CUT,
            help="Learn an answer that two examples share in the first one only: in "
            "the second it is context, of weight 0.",
        ),
    ] = True
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
            "--label-groups/--no-label-groups",
            rich_help_panel=_CUT,
            help="In groups, put the speaker's name before each text except the AI's.",
        ),
    ] = True
    system: Annotated[
        str,
        typer.Option(
            "--system",
            metavar="auto|none|TEXT",
            rich_help_panel=_CUT,
            help="A system prompt for each example: auto says who the model is and "
            "whom it chats with; in a TEXT {others}, {owner}, {participants}, "
            "{platform} and {title} are filled in.",
        ),
    ] = "auto"
    replies: Annotated[
        int,
        typer.Option(
            metavar="N",
            rich_help_panel=_CUT,
            min=0,
            max=MAX_REPLIES,
            help="Show the N earlier replies of the person that answer the most "
            "similar messages in each prompt, in training and in chats.",
        ),
    ] = DEFAULT_REPLIES

    def prepare_options(self) -> "PrepareOptions":
        """Return the options as the library takes them.

        Raises:
            typer.BadParameter: If two of them do not go together.
        """
        if self.overlap >= self.size and not self.whole:
            msg = f"--overlap ({self.overlap}) must be less than --size ({self.size})."
            raise typer.BadParameter(msg)
        if self.split_gap is None:
            system = None if self.system == "none" else self.system
            return replace(super().prepare_options(), system=system)
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

    def redaction(self, output: Path) -> "Redaction":
        """Return the redaction of what is written to a path.

        Args:
            output: The redacted copy; the key file is beside it unless it was named.
        """
        from langchain_chatexports.datasets.redaction import Redaction, default_key_file
        from langchain_chatexports.redaction.phones import check_extra

        check_extra()  # Before exports are read.
        return Redaction(
            self.key or default_key_file(output),
            names=self.name or (),
            watch=watching_count,
        )
