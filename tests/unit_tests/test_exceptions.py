from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

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
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
    LocalServerError,
    MissingExtraError,
    SenderNotFoundError,
    TrainingBudgetError,
    TrainingDataError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


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
def test_old_except_clauses_keep_working(
    kind: Any, builtin: type[Any | ExportFormatError]
) -> None:
    assert issubclass(kind, builtin)


@pytest.mark.parametrize("kind", [ExportNotFoundError, ExportAccessError])
def test_errors_of_the_system_say_their_message_only(
    kind: type[ExportNotFoundError | ExportAccessError],
) -> None:
    assert str(kind("chat.db is not there.")) == "chat.db is not there."


EXAMPLES = [
    ExportNotFoundError("gone"),
    ExportFormatError("no database"),
    SenderNotFoundError("Nobody is called 'Wolf'.", {"Hare": 3, "Tortoise": 5}),
    MissingExtraError("LocalServer", "local"),
    FineTuningError("failed", job_id="job-1", status="running"),
    TrainingDataError("2 problems", ["line 1: no role", "line 2: no content"]),
    FineTuningFailedError("failed", job_id="job-1", code="bad_file", param="file"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "again",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy],  # noqa: S301
    ids=["pickle", "copy"],
)
def test_error_comes_back_with_all_it_knows(
    error: Any, again: Callable[..., Any]
) -> None:
    other = again(error)
    assert type(other) is type(error)
    assert (str(other), other.args) == (str(error), error.args)
    assert vars(other) == vars(error)


def test_senders_are_listed_most_first() -> None:
    error = SenderNotFoundError("Nobody is called 'Wolf'.", {"Hare": 3, "Tortoise": 5})
    assert str(error) == (
        "Nobody is called 'Wolf'. Senders found: 'Tortoise' (5), 'Hare' (3)."
    )


def test_many_senders_are_cut() -> None:
    error = SenderNotFoundError("No.", {f"s{n:02}": 1 for n in range(25)})
    assert "'s19' (1) and 5 more." in str(error)
    assert len(error.senders) == 25


def test_missing_extra_names_the_command() -> None:
    error = MissingExtraError("LocalServer", "local")
    assert error.extra == "local"
    assert str(error) == (
        "LocalServer needs the extra 'local'. Install it with: "
        'pip install "langchain-chatexports[local]"'
    )


def test_problems_are_listed_a_line_each() -> None:
    error = TrainingDataError("Bad.", ["line 1: no role", "line 2: no content"])
    assert str(error) == "Bad.\n  - line 1: no role\n  - line 2: no content"


def test_many_problems_are_cut() -> None:
    error = TrainingDataError("Bad.", [f"line {n}" for n in range(25)])
    assert str(error).count("line") == 20
    assert str(error).endswith("… and 5 more, in `problems`")
    assert len(error.problems) == 25


@pytest.mark.parametrize("kind", [TrainingBudgetError, FineTuningCancelledError])
def test_fine_tuning_errors_know_their_job(
    kind: type[TrainingBudgetError | FineTuningCancelledError],
) -> None:
    error = kind("no", job_id="job-1", status="cancelled")
    assert (error.job_id, error.status) == ("job-1", "cancelled")


@pytest.mark.parametrize(
    "kind", [ExportNotFoundError, ExportFormatError, LocalServerError, FineTuningError]
)
def test_what_a_terminal_obeys_is_escaped_in_every_error(kind: Any) -> None:
    assert str(kind("a\x1b[2Jb is bad.\nTwo.")) == "a\\x1b[2Jb is bad.\nTwo."


@pytest.mark.parametrize(
    "kind", [ChatExportError, ExportNotFoundError, ExportAccessError, ExportFormatError]
)
def test_an_error_carries_the_path_that_it_is_about(
    kind: type[ChatExportError],
) -> None:
    error = kind("gone", path=Path("chat.db"))
    pickled = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    for same in (error, pickled, copy.copy(error)):
        assert (str(same), same.path) == ("gone", Path("chat.db"))
