"""Error messages of failed training runs."""

import errno
import json
import sqlite3
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.database import DatabaseError
from langchain_chatexports.local_server.training.old_queue import _parse_failure
from langchain_chatexports.local_server.training.old_trainer import _describe_failure

_DATABASE = Path("data") / "chatexports.db"
_FULL = sqlite3.OperationalError("database or disk is full")
_LOCKED = sqlite3.OperationalError("database is locked")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(errno.ENOSPC, "No space left"), "disk_full", "Free some space"),
        (DatabaseError(_DATABASE, _FULL), "disk_full", "space"),
        (DatabaseError(_DATABASE, _LOCKED), "server_error", "is locked"),
        (MemoryError(), "out_of_memory", "smaller base"),
        (RuntimeError("CUDA out of memory"), "out_of_memory", "shorter chats"),
        (PermissionError(13, "no"), "base_unreadable", "PermissionError"),
        (KeyError("secret words"), "training_failed", "KeyError"),
        (LocalServerError("Deleted."), "server_error", "Deleted."),
    ],
)
def test_failure_messages_quote_nothing(
    error: Exception, code: str, message: str
) -> None:
    try:
        raise error  # noqa: TRY301 - it gets a traceback.
    except Exception as raised:  # noqa: BLE001 - for its traceback.
        failure = _describe_failure(raised)
    assert failure["code"] == code
    assert message in failure["message"]
    assert "secret" not in json.dumps(failure)
    assert _parse_failure(1, json.dumps(failure).encode()) == failure
