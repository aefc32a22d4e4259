"""The options that commands share, and what their help says."""

# No postponed annotations here: typer reads them at run time.
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Ai",
    "AiRole",
    "AsJson",
    "Base",
    "Consent",
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
    "Workers",
]

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        help="Exports: an iMessage chat.db (or its folder), a Messenger export (zip, "
        "folder or one thread's file). What it is, is seen from its content.",
        show_default=False,
        readable=False,  # Else typer answers instead of our error with the remedy.
    ),
]
PathsOrExamples = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
        help="Exports, as for prepare, or JSONL files that prepare has written.",
        show_default=False,
        readable=False,
    ),
]
Ai = Annotated[
    list[str] | None,
    typer.Option(
        "--ai",
        help="Name or handle of the person whose voice the model learns; several times "
        "for several names of one person. Without it: the export's owner.",
        show_default=False,
    ),
]
Size = Annotated[int, typer.Option(min=1, help="Messages in an example.")]
Overlap = Annotated[
    int, typer.Option(min=0, help="Messages that neighboring examples share.")
]
AiRole = Annotated[
    str | None,
    typer.Option(
        help="Role of the people whose voice the model learns, such as agent, in a "
        "table of support conversations.",
        show_default=False,
    ),
]
Whole = Annotated[
    bool,
    typer.Option(
        "--whole",
        help="One example a conversation, not windows; with --max-tokens, cut where it "
        "would be too long.",
    ),
]
KeepTail = Annotated[
    bool, typer.Option("--keep-tail", help="Add a shorter last example.")
]
KeepTrailing = Annotated[
    bool,
    typer.Option("--keep-trailing", help="Keep messages after the last answer."),
]
SplitGap = Annotated[
    str | None,
    typer.Option(
        metavar="auto|MINUTES",
        help="Cut threads into conversations first, at pauses longer than this; auto "
        "finds the pause in each thread's own.",
        show_default=False,
    ),
]
MaxMessages = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Cut conversations that are longer at their largest pause (with "
        "--split-gap, which is auto then).",
        show_default=False,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
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
        help="Say in groups who speaks, before each text but the AI's own.",
    ),
]
SystemPrompt = Annotated[
    str | None,
    typer.Option(
        "--system",
        help="A system prompt for each example; {others}, {owner}, {participants}, "
        "{platform} and {title} are filled in.",
        show_default=False,
    ),
]
RedactedPaths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH...",
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
        help="The redaction's key file, made if it is not there. Whoever has it can "
        "undo the redaction.",
        show_default="OUTPUT.key",
    ),
]
RedactedNames = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="A further name to find, such as a nickname that only texts use; may be "
        "given several times.",
        show_default=False,
    ),
]
Presidio = Annotated[
    str | None,
    typer.Option(
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
        help="Whose format: openai, trl, trl-prompt-completion, axolotl, "
        "llama-factory, mlx, parquet; of edits and reactions: openai-dpo, trl-dpo, "
        "trl-kto.",
    ),
]
Split = Annotated[
    bool,
    typer.Option(
        "--split",
        help="Split into train, validation and test, the newest conversations for the "
        "test; threads are cut at their silences, and --keep-tail is on.",
    ),
]
Dedup = Annotated[
    str,
    typer.Option(
        help="Leave out examples that repeat another: none, exact, or near (needs "
        "the extra 'dedup').",
    ),
]
Consent = Annotated[
    str | None,
    typer.Option(
        help="Who agreed to what, in your words, for the data card.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="Base model: a folder, a .gguf file or a hub id. Without it: "
        "SmolLM2-135M-Instruct, a toy that shows the way.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Where the local server keeps its files and models. Without it: your "
        "user data folder.",
        show_default=False,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        help="Processes that read the exports, each a part of the conversations; worth "
        "it from some hundred thousand messages on.",
    ),
]
