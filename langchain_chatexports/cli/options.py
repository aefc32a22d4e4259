"""The options that commands share, and what their help says."""

# No postponed annotations here: typer reads them at run time.
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Ai",
    "AsJson",
    "Base",
    "Consent",
    "DataDir",
    "Dedup",
    "Format",
    "KeepTail",
    "KeepTrailing",
    "Overlap",
    "Paths",
    "PathsOrExamples",
    "Size",
    "Split",
    "Whole",
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
Whole = Annotated[
    bool, typer.Option("--whole", help="One example a conversation, not windows.")
]
KeepTail = Annotated[
    bool, typer.Option("--keep-tail", help="Add a shorter last example.")
]
KeepTrailing = Annotated[
    bool,
    typer.Option("--keep-trailing", help="Keep messages after the last answer."),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Whose format: openai, trl, trl-prompt-completion, axolotl, "
        "llama-factory, mlx, parquet; of edits and reactions: openai-dpo, trl-dpo, "
        "trl-kto.",
        show_default=False,
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
