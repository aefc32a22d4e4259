"""Choose the column of each field, by name or as the user says."""

from collections.abc import Collection, Mapping

from langchain_chatexports.chat_loaders.export_file import ExportFile
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
"""The fields of a message, and the recognized column names for each."""


def has_columns(columns: Collection[str], user_columns: Mapping[str, str]) -> bool:
    """Return whether a table has the columns that messages need."""
    if not {*user_columns.values()} <= {*columns}:
        return False
    chosen = _guess_columns(columns, user_columns)
    return "text" in chosen and ("conversation" in chosen or "sender" in chosen)


def choose_columns(
    file: ExportFile,
    columns: Collection[str],
    user_columns: Mapping[str, str],
    *,
    show_columns: bool = True,
) -> dict[str, str]:
    """Return the column of each field, chosen by the user or by name.

    Errors only list the columns if `show_columns` is true, since the first line of a
    CSV file may be a message instead of a header.
    """
    missing = sorted(set(user_columns.values()) - set(columns))
    chosen = _guess_columns(columns, user_columns)
    if not missing and "text" in chosen:
        return chosen
    listed = f"; it has {sorted(columns)}" if show_columns else " in its first line"
    if missing:
        msg = f"{file.label} has no column {missing}{listed}. Check columns=."
    else:
        msg = (
            f"{file.label} has no recognized text column{listed}. Rename the column to "
            "text, or set columns={'text': ...}."
        )
    raise ExportFormatError(msg, path=file.path)


def _guess_columns(
    columns: Collection[str], user_columns: Mapping[str, str]
) -> dict[str, str]:
    """Choose columns by name; `Ticket ID` matches `ticket_id`."""
    by_normalized_name = {name: name for name in columns}
    for name in columns:
        by_normalized_name.setdefault("_".join(name.casefold().split()), name)
    chosen = dict(user_columns)
    for field, names in COLUMNS.items():
        candidates = (by_normalized_name.get(name) for name in names)
        column = next((c for c in candidates if c and c not in chosen.values()), None)
        if field not in chosen and column:
            chosen[field] = column
    return chosen
