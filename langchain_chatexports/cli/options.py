"""The options that commands share, and what their help says."""

# No postponed annotations here: typer reads them at run time.
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "PRIVATE",
    "Ai",
    "AiRole",
    "AsJson",
    "Base",
    "Consent",
    "Contacts",
    "DataDir",
    "Dedup",
    "Format",
    "KeepTail",
    "KeepTrailing",
    "LabelGroups",
    "MaxMessages",
    "MaxTokens",
    "Overlap",
    "Paths",
    "PathsOrExamples",
    "Presidio",
    "RedactedNames",
    "RedactedPaths",
    "RedactionKeyFile",
    "Size",
    "Split",
    "SplitGap",
    "SystemPrompt",
    "Whole",
]

# The panels that help shows them in, behind those without one.
_CUT = "How conversations become examples"
PRIVATE = "Names and private numbers"
_SET = "What is written"


def _formats() -> list[str]:
    """Return the names of formats, for shells to complete."""
    from langchain_chatexports.datasets.formats.trainers import FORMATS

    return [*FORMATS]


Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="Exports: an iMessage chat.db (or its folder, or an iPhone's backup), a "
        "Messenger export (zip, folder or one thread's file), a table (Parquet or JSON "
        "lines). What it is, is seen from its content. On a Mac, without any: its own "
        "Messages.",
        show_default=False,
        readable=False,  # Else typer answers instead of our error with the remedy.
    ),
]
PathsOrExamples = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH",
        help="Exports, as for prepare, or JSONL files that prepare has written.",
        show_default=False,
        readable=False,
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
Size = Annotated[
    int,
    typer.Option(
        metavar="N", rich_help_panel=_CUT, min=1, help="Messages in an example."
    ),
]
Overlap = Annotated[
    int,
    typer.Option(
        metavar="N",
        rich_help_panel=_CUT,
        min=0,
        help="Messages that neighboring examples share.",
    ),
]
AiRole = Annotated[
    str | None,
    typer.Option(
        metavar="ROLE",
        help="Role of the people whose voice the model learns, such as agent, in a "
        "table of support conversations.",
        show_default=False,
    ),
]
Whole = Annotated[
    bool,
    typer.Option(
        "--whole",
        rich_help_panel=_CUT,
        help="One example a conversation, not windows; with --max-tokens, cut where it "
        "would be too long.",
    ),
]
KeepTail = Annotated[
    bool,
    typer.Option(
        "--keep-tail", rich_help_panel=_CUT, help="Add a shorter last example."
    ),
]
KeepTrailing = Annotated[
    bool,
    typer.Option(
        "--keep-trailing",
        rich_help_panel=_CUT,
        help="Keep messages after the last answer.",
    ),
]
SplitGap = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_CUT,
        metavar="auto|MINUTES",
        help="Cut threads into conversations first, at pauses longer than this; auto "
        "finds the pause in each thread's own.",
        show_default=False,
    ),
]
MaxMessages = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        rich_help_panel=_CUT,
        min=1,
        help="Cut conversations that are longer at their largest pause (with "
        "--split-gap, which is auto then).",
        show_default=False,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        rich_help_panel=_CUT,
        min=1,
        help="Most tokens of text in an example, counted by bytes, on the safe side; "
        "never inside a message. Leave room for a system prompt.",
        show_default=False,
    ),
]
LabelGroups = Annotated[
    bool,
    typer.Option(
        "--label-groups",
        rich_help_panel=_CUT,
        help="Say in groups who speaks, before each text but the AI's own.",
    ),
]
SystemPrompt = Annotated[
    str | None,
    typer.Option(
        "--system",
        metavar="TEXT",
        rich_help_panel=_CUT,
        help="A system prompt for each example; {others}, {owner}, {participants}, "
        "{platform} and {title} are filled in.",
        show_default=False,
    ),
]
RedactedPaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH",
        help="Exports, as for prepare, or one JSONL file of examples; with --undo, a "
        "file with stand-ins in it.",
        show_default=False,
        readable=False,
    ),
]
RedactionKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        metavar="FILE",
        rich_help_panel=PRIVATE,
        help="The redaction's key file, made if it is not there. Whoever has it can "
        "undo the redaction.",
        show_default="OUTPUT.key",
    ),
]
RedactedNames = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        rich_help_panel=PRIVATE,
        help="A further name to find, such as a nickname that only texts use; may be "
        "given several times.",
        show_default=False,
    ),
]
Presidio = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=PRIVATE,
        metavar="MODEL",
        help="An installed spaCy pipeline, such as en_core_web_lg: Presidio looks for "
        "names too (needs the extra 'pii').",
        show_default=False,
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        autocompletion=_formats,
        metavar="FORMAT",
        rich_help_panel=_SET,
        help="Whose format: openai, trl, trl-prompt-completion, axolotl, "
        "llama-factory, mlx, parquet; of edits and reactions: openai-dpo, trl-dpo, "
        "trl-kto.",
    ),
]
Split = Annotated[
    bool,
    typer.Option(
        "--split",
        rich_help_panel=_SET,
        help="Split into train, validation and test, the newest conversations for the "
        "test; threads are cut at their silences, and --keep-tail is on.",
    ),
]
Dedup = Annotated[
    str,
    typer.Option(
        metavar="none|exact|near",
        autocompletion=lambda: ["none", "exact", "near"],
        rich_help_panel=_SET,
        help="Leave out examples that repeat another; near needs the extra 'dedup'.",
    ),
]
Consent = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        rich_help_panel=_SET,
        help="Who agreed to what, in your words, for the data card.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="BASE",
        help="Base model: a folder, a .gguf file or a hub id. Without it: "
        "SmolLM2-135M-Instruct, a toy that shows the way.",
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
