"""The columns of a table: what a message can have, and where that stands."""

from collections.abc import Collection, Mapping
from typing import TypeAlias

from langchain_chatexports.chat_loaders.files import ExportFile
from langchain_chatexports.exceptions import ExportFormatError

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

Cells: TypeAlias = dict[str, str | None]
"""The cells of a row by what they hold; numbers as they are written."""


def checked_columns(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the columns that the user named; a `ValueError` names unknown parts."""
    given = dict(columns or {})
    if unknown := sorted(given.keys() - COLUMNS.keys()):
        msg = f"columns has {unknown}; a message can have {list(COLUMNS)}."
        raise ValueError(msg)
    return given


def has_columns(there: Collection[str], given: Mapping[str, str]) -> bool:
    """Return whether columns are those of a table of messages."""
    if not {*given.values()} <= {*there}:
        return False
    found = _guessed_columns(there, given)
    return "text" in found and ("conversation" in found or "sender" in found)


def chosen_columns(
    file: ExportFile,
    there: Collection[str],
    given: Mapping[str, str],
    *,
    are_names: bool = True,
) -> dict[str, str]:
    """Return the column by what it holds.

    The user named the columns `given`; the others are looked for by `COLUMNS`. Unless
    the columns that are there `are_names` for sure, no error shows them: the first line
    of a CSV file may be a message.
    """
    missing = sorted(set(given.values()) - set(there))
    found = _guessed_columns(there, given)
    listed = f"; it has {sorted(there)}" if are_names else " in its first line"
    if missing:
        msg = f"{file.label} has no column {missing}{listed}."
    elif "text" not in found:
        msg = (
            f"{file.label} has no column that is known to hold text{listed}. Rename it "
            "to text, or name it: columns={'text': ...}."
        )
    elif twice := [name for name in found.values() if [*there].count(name) > 1]:
        msg = f"{file.label} has the column {twice[0]!r} twice. Rename the wrong one."
    else:
        return found
    raise ExportFormatError(msg, path=file.path)


def _guessed_columns(
    there: Collection[str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the columns that are known; `Ticket ID` is `ticket_id`, too."""
    plain = {name: name for name in there}
    for name in there:
        plain.setdefault("_".join(name.casefold().split()), name)
    chosen = dict(given)
    for part, names in COLUMNS.items():
        free = (plain[n] for n in names if n in plain)
        found = next((name for name in free if name not in chosen.values()), None)
        if part not in chosen and found:
            chosen[part] = found
    return chosen
