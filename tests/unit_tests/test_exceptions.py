import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from langchain_core.exceptions import LangChainException

from langchain_chatexports import exceptions
from langchain_chatexports.exceptions import (
    ChatExportError,
    DamagedExportError,
    EncryptedExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
    FineTuningError,
    FineTuningFailedError,
    LocalServerError,
    MissingExtraError,
    SenderNotFoundError,
    TrainingDataError,
)

ALL = [getattr(exceptions, name) for name in exceptions.__all__]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_caught_by_one_class(kind: type[Exception]) -> None:
    assert issubclass(kind, ChatExportError)
    assert issubclass(kind, LangChainException)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ExportNotFoundError, FileNotFoundError),
        (ExportAccessError, PermissionError),
        (ExportFormatError, ValueError),
        (DamagedExportError, ExportFormatError),
        (EncryptedExportError, ExportFormatError),
        (SenderNotFoundError, ValueError),
        (MissingExtraError, ImportError),
        (LocalServerError, RuntimeError),
        (FineTuningError, RuntimeError),
    ],
)
def test_old_except_clauses_keep_working(kind: Any, builtin: Any) -> None:
    assert issubclass(kind, builtin)


EXAMPLES = [
    ExportNotFoundError("gone", path=Path("chat.db")),
    ExportAccessError("gone", path=Path("chat.db")),
    ExportFormatError("no database"),
    SenderNotFoundError("No sender is 'Wolf'.", {"Hare": 3, "Tortoise": 5}),
    MissingExtraError("LocalServer", "local"),
    FineTuningError("failed", job_id="job-1", status="running"),
    TrainingDataError("2 problems", ["line 1: no role", "line 2: no content"]),
    FineTuningFailedError("failed", job_id="job-1", code="bad_file", param="file"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_can_be_pickled_and_copied(error: Any) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
        assert type(other) is type(error)
        assert (str(other), other.args) == (str(error), error.args)
        assert vars(other) == vars(error)


def test_long_list_of_senders_is_shortened() -> None:
    error = SenderNotFoundError("No.", {f"s{n:02}": 25 - n for n in range(25)})
    assert str(error).startswith("No. Senders found: 's00' (25), 's01' (24), ")
    assert "'s19' (6) and 5 more." in str(error)
    assert len(error.senders) == 25


def test_missing_extra_names_the_command() -> None:
    error = MissingExtraError("LocalServer", "local")
    assert error.extra == "local"
    assert str(error) == (
        "LocalServer needs the extra 'local'. Install it with: "
        'pip install "langchain-chatexports[local]"'
    )


def test_long_list_of_problems_is_shortened() -> None:
    error = TrainingDataError("Bad.", [f"line {n}" for n in range(25)])
    assert str(error).startswith("Bad.\n  - line 0\n  - line 1\n")
    assert str(error).count("line") == 20
    assert str(error).endswith("… and 5 more, in `problems`")
    assert len(error.problems) == 25


@pytest.mark.parametrize(
    "kind", [ExportNotFoundError, ExportFormatError, LocalServerError, FineTuningError]
)
def test_errors_escape_terminal_codes(kind: Any) -> None:
    assert str(kind("a\x1b[2Jb is bad.\nTwo.")) == "a\\x1b[2Jb is bad.\nTwo."
