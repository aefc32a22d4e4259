"""Work in the background."""

import threading

import pytest

from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.page.languages import lazy_gettext
from langchain_chatexports.page.work import Work


def test_only_one_task_runs() -> None:
    work, resume = Work(), threading.Event()

    def run() -> None:
        resume.wait(60)

    assert work.start(lazy_gettext("Reading"), run)
    assert work.is_running
    assert not work.start(lazy_gettext("Again"), lambda: None)
    assert str(work.title) == "Reading"
    resume.set()
    work.join(60)
    assert not work.is_running


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ExportFormatError("Request it again as JSON."), "Request it again as JSON."),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ValueError("a private message"), "An unexpected error"),
    ],
)
def test_error_is_cleared_by_next_start(
    error: Exception, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work()

    def fail() -> None:
        raise error

    work.start(lazy_gettext("Reading"), fail)
    work.join(60)
    assert shown in str(work.error)
    assert "private" not in f"{work.error}{caplog.text}"
    work.start(lazy_gettext("Reading"), lambda: None)
    work.join(60)
    assert work.error is None


def test_stopped_task_ends_at_its_next_check() -> None:
    work, started, resume = Work(), threading.Event(), threading.Event()
    completed: list[bool] = []

    def run() -> None:
        started.set()
        resume.wait(60)
        work.check()
        completed.append(True)

    work.start(lazy_gettext("Reading"), run)
    started.wait(60)
    work.stop()
    resume.set()
    work.join(60)
    assert (completed, work.error) == ([], None)
    work.start(lazy_gettext("Reading"), run)
    work.join(60)
    assert completed == [True]
