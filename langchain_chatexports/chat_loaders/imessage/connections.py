"""Safe connections to SQLite files that may be hostile.

A schema can hold code: views, triggers, virtual tables, generated columns. Nothing of
it runs here, and the work for one file is limited. See https://sqlite.org/security.html.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import suppress
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["WorkLimit", "connect", "is_interrupted"]

# The largest text or blob of one row; a message's own are a few MB at most.
_MAX_VALUE_BYTES = 64 * 1024 * 1024
_STEPS_BETWEEN_CHECKS = 10_000
# A whole reading takes up to 10 steps of SQLite's machine for each byte of the file.
# Pages that lead to each other many times over take any number.
_MAX_STEPS_PER_BYTE = 200
_MIN_STEPS = 20_000_000
# The place of what wants an action among what an authorizer is asked with.
_SOURCE = 5
_DENIED = 2


class WorkLimit:
    """Interrupts SQLite when a signal arrives or a query takes too much work."""

    def __init__(self, size_bytes: int) -> None:
        """Allow the work that reading a file of this size can need."""
        steps = max(_MIN_STEPS, size_bytes * _MAX_STEPS_PER_BYTE)
        self._checks_left = steps // _STEPS_BETWEEN_CHECKS
        self._raised: BaseException | None = None

    @property
    def is_exceeded(self) -> bool:
        """Whether SQLite did more than a file of this size can need."""
        return self._checks_left < 0

    def watch(self, connection: sqlite3.Connection) -> None:
        """Apply the limit to a connection; several connections share it."""
        # Called in the middle of a query, Python runs the handlers of signals as soon
        # as any function of its own begins. What a generator resumes in `try` is
        # caught; what a function begins with is lost in SQLite.
        checks = self._checks()
        next(checks)
        connection.set_progress_handler(checks.__next__, _STEPS_BETWEEN_CHECKS)

    def deny_schema_code(self, connection: sqlite3.Connection) -> None:
        """Deny whatever a view or a trigger of the schema would do."""
        # A generator for the same reason. It takes one value, and SQLite gives five:
        # `max` sends them on, and returns the one with the highest rank. SQLITE_OK
        # allows the action; a text or None, which are no answers, deny it.
        ranks = self._ranks()
        next(ranks)
        connection.set_authorizer(partial(max, sqlite3.SQLITE_OK, key=ranks.send))

    def raise_pending(self) -> None:
        """Raise what a signal's handler raised during a query."""
        if self._raised is not None:
            raise self._raised from None

    def _checks(self) -> Generator[bool, None, None]:
        while True:
            try:
                # Going round a loop runs handlers, too: this one has to be in `try`.
                while True:
                    yield self._raised is not None or self._is_used_up()
            except GeneratorExit:  # noqa: PERF203 - once for a connection
                return
            except BaseException as error:  # noqa: BLE001 - raised again after the query
                self._raised = error

    def _ranks(self) -> Generator[int, object, None]:
        rank = place = 0
        while True:
            try:
                # SQLITE_OK, the action, two names, the database, the view or trigger.
                while True:
                    value = yield rank
                    place = 0 if value == sqlite3.SQLITE_OK else place + 1
                    is_denied = place == _SOURCE and value is not None
                    rank = _DENIED if is_denied else int(place == 0)
            except GeneratorExit:  # noqa: PERF203 - once for a connection
                return
            except BaseException as error:  # noqa: BLE001 - raised again after the query
                self._raised, rank = error, _DENIED

    def _is_used_up(self) -> bool:
        self._checks_left -= 1
        return self.is_exceeded


def connect(path: Path, mode: str, limit: WorkLimit) -> sqlite3.Connection:
    """Open a database and begin to read it.

    Args:
        path: The file, where neither a link nor a journal misleads SQLite.
        mode: The parameters of SQLite's address.
        limit: How much work it may take.

    Returns:
        A connection in a read transaction; badly encoded text is read with U+FFFD.

    Raises:
        sqlite3.Error: If it cannot be read. Its text can quote the file.
        UnicodeDecodeError: If the schema is damaged.
    """
    # Whoever closes the generator that holds this may do so from another thread.
    connection = sqlite3.connect(
        f"{_uri(path)}?{mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        connection.text_factory = methodcaller("decode", "utf-8", "replace")
        limit.watch(connection)
        limit.deny_schema_code(connection)
        _restrict(connection)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("BEGIN")
    except (sqlite3.Error, UnicodeDecodeError):
        connection.close()
        raise
    return connection


def is_interrupted(error: sqlite3.Error) -> bool:
    """Return whether an error is that of a query which a `WorkLimit` ended."""
    # Python 3.10 has no error codes; this text is SQLite's own for SQLITE_INTERRUPT.
    return str(error) == "interrupted"


def _restrict(connection: sqlite3.Connection) -> None:
    if sys.version_info >= (3, 11):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    if sys.version_info >= (3, 12):
        # An SQLite older than an option refuses it.
        with suppress(sqlite3.Error):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    # Both are without effect in an SQLite that does not know them.
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")


def _uri(path: Path) -> str:
    # An unquoted ?, # or % would open another, empty database.
    absolute = path.as_posix()
    rooted = absolute if absolute.startswith("/") else f"/{absolute}"
    return f"file://{quote(os.fsencode(rooted))}"
