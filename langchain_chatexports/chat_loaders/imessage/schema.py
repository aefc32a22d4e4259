"""Which tables, columns and indexes a database has.

Column sets differ between macOS versions and even between machines on one version, so
nothing here asks for a version: `PRAGMA table_info` decides, and a column that is
missing reads as `NULL`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import ExportFormatError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["Schema", "check_plain_tables"]

_TABLES = (
    "message",
    "handle",
    "chat",
    "chat_message_join",
    "chat_handle_join",
    "chat_recoverable_message_join",
    "chat_lookup",
    "attachment",
    "message_attachment_join",
)
_NEEDED = ("message", "chat_message_join")


class Schema:
    """The schema of one open database."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Look up the columns of all tables that are read.

        Raises:
            ExportFormatError: If the tables of Messages are not there, or something
                else is in their place.
        """
        self._connection = connection
        check_plain_tables(connection, path, _TABLES)
        self._columns = {table: self._columns_of(table) for table in _TABLES}
        for table in _NEEDED:
            if not self.has(table):
                msg = (
                    f"{path} has no table '{table}': it is another application's "
                    "database, or an empty one. Give the path of chat.db or sms.db."
                )
                raise ExportFormatError(msg, path=path)

    def has(self, table: str, *columns: str) -> bool:
        """Return whether there is a table with all these columns."""
        there = self._columns[table]
        return bool(there) and there.issuperset(name.lower() for name in columns)

    def column(self, table: str, name: str) -> str:
        """Name a column by its table's first letter, or `NULL` if it is missing."""
        known = name == "ROWID" or self.has(table, name)
        return f"{table[0]}.{name}" if known else "NULL"

    def is_indexed(self, table: str, column: str) -> bool:
        """Return whether rows of a table are found by this column without a scan."""
        listed = self._connection.execute(f"PRAGMA index_list({table})")
        names = [row[1] for row in listed if not row[4]]  # A partial one is no help.
        for name in names:
            quoted = name.replace('"', '""')
            parts = self._connection.execute(
                f'PRAGMA index_info("{quoted}")'
            ).fetchall()
            if parts and parts[0][2] == column:
                return True
        return False

    def is_row_id_the_key(self, table: str) -> bool:
        """Return whether a table's `ROWID` is SQLite's own number of a row.

        A copied table can have it as a plain column, or as an `INT PRIMARY KEY`.
        """
        rows = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
        return all(
            row[5] and row[2].upper() == "INTEGER"
            for row in rows
            if row[1].lower() == "rowid"
        )

    def _columns_of(self, table: str) -> frozenset[str]:
        rows = self._connection.execute(f"PRAGMA table_info({table})")
        return frozenset(row[1].lower() for row in rows)


def check_plain_tables(
    connection: sqlite3.Connection, path: Path, tables: Collection[str]
) -> None:
    """Refuse a database where a table to read is not a stored one.

    Reading a view, a virtual table or a generated column runs what its author wrote.

    Args:
        connection: The database.
        path: Its file, for the error.
        tables: The names, in lower case; none of them need be there.

    Raises:
        ExportFormatError: If a table is not a plain one.
    """
    marks = ", ".join("?" * len(tables))
    # What is not stored has no page.
    strangers = connection.execute(
        f"""
        SELECT lower(name) FROM sqlite_master
        WHERE lower(name) IN ({marks})
            AND NOT (type IS 'table' AND coalesce(rootpage, 0) > 0)
        """,
        tuple(tables),
    )
    wrong = {table for (table,) in strangers}
    for table in tables:
        if table not in wrong and any(
            row[6] for row in connection.execute(f"PRAGMA table_xinfo({table})")
        ):
            wrong.add(table)
    if wrong:
        msg = (
            f"{path}: '{min(wrong)}' is a view, a virtual table or one with computed "
            "columns, and only stored tables are read. Messages makes no such database:"
            " if another program did, let it write plain tables."
        )
        raise ExportFormatError(msg, path=path)
