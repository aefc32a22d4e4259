"""The columns of a table: names that are recognized, and the user's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

__all__ = [
    "COLUMNS",
    "REQUIRED",
    "checked_columns",
    "chosen_columns",
    "guessed_columns",
]

COLUMNS: dict[str, tuple[str, ...]] = {
    "conversation": (
        *("conversation_id", "conversation", "thread_id", "ticket_id", "chat_id"),
        "session_id",
    ),
    "sender": ("sender", "author", "from", "user", "name"),
    "time": ("time", "timestamp", "created_at", "sent_at", "date"),
    "text": ("text", "body", "message", "content"),
    "role": ("role", "author_type", "sender_type"),
    "id": ("message_id", "id"),
    "reply_to": ("reply_to", "in_reply_to"),
    "title": ("title", "subject"),
}
"""What a message can have, and the names under which its column is looked for."""

REQUIRED = ("conversation", "text")
"""What a table must have."""


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Check the columns that the user named.

    Args:
        columns: The column's name by part of a message.

    Returns:
        The same as a dict.

    Raises:
        ValueError: If a message has no such part.
    """
    given = dict(columns or {})
    unknown = sorted(given.keys() - COLUMNS.keys())
    if unknown:
        msg = f"columns has {unknown}; a message can have {list(COLUMNS)}."
        raise ValueError(msg)
    return given


def chosen_columns(
    path: Path,
    there: Collection[str],
    given: Mapping[str, str],
    *,
    has_names: bool = True,
) -> dict[str, str]:
    """Choose the columns of a table.

    Args:
        path: The table's file, for errors.
        there: The columns that it has.
        given: The columns that the user named; the others are looked for by `COLUMNS`.
        has_names: Whether these are names, and not what a message holds.

    Returns:
        The column by what it holds.

    Raises:
        ExportFormatError: If a column is not there, or there twice, or if a required
            one is not found.
    """
    missing = sorted(set(given.values()) - set(there))
    guessed = guessed_columns(there, given)
    if not has_names and (missing or not guessed.keys() >= set(REQUIRED)):
        msg = (
            f"{path} has no line with names of columns. Add one at its beginning, such "
            "as conversation_id,sender,time,text."
        )
        raise ExportFormatError(msg, path=path)
    if missing:
        msg = f"{path} has no column {missing}; it has {sorted(there)}."
        raise ExportFormatError(msg, path=path)
    without = [part for part in REQUIRED if part not in guessed]
    if without:
        options = " ".join(f"--column {part}=NAME" for part in without)
        msg = (
            f"{path} has no column that is known to hold {' and '.join(without)}; it "
            f"has {sorted(there)}. Name it: columns={{{without[0]!r}: ...}}, or "
            f"{options}."
        )
        raise ExportFormatError(msg, path=path)
    names = [*there]
    if twice := [name for name in guessed.values() if names.count(name) > 1]:
        msg = (
            f"{path} has the column {twice[0]!r} twice. Rename the one that is not "
            "meant."
        )
        raise ExportFormatError(msg, path=path)
    return guessed


def guessed_columns(
    there: Collection[str], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Guess which columns hold what, by their names.

    Args:
        there: The columns that a table has. `Conversation ID` is `conversation_id`,
            too.
        given: The columns that the user named.

    Returns:
        The column by what it holds, as far as it is known.
    """
    chosen = dict(given or {})
    taken = set(chosen.values())
    plain = {name: name for name in there}
    for name in there:
        plain.setdefault("_".join(name.casefold().split()), name)
    for part, names in COLUMNS.items():
        if part in chosen:
            continue
        found = next(
            (plain[n] for n in names if n in plain and plain[n] not in taken), ""
        )
        if found:
            chosen[part] = found
            taken.add(found)
    return chosen
