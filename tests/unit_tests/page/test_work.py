"""Work in the background."""

import threading

import pytest

from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.page.languages import later
from langchain_chatexports.page.work import Work


def test_one_thing_is_done_at_a_time() -> None:
    work, go_on = Work(), threading.Event()

    def wait() -> None:
        go_on.wait(60)

    assert work.start(later("Reading"), wait)
    assert work.is_running
    assert not work.start(later("Again"), lambda: None)
    assert str(work.title) == "Reading"
    go_on.set()
    work.join(60)
    assert not work.is_running


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ExportFormatError("Request it again as JSON."), "Request it again as JSON."),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ValueError("a private message"), "Something unexpected"),
    ],
)
def test_an_error_is_said_and_gone_with_the_next_start(
    error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work()

    def fail() -> None:
        raise error

    work.start(later("Reading"), fail)
    work.join(60)
    assert said in str(work.error)
    assert "private" not in f"{work.error}{caplog.text}"
    work.start(later("Reading"), lambda: None)
    work.join(60)
    assert work.error is None


def test_stopped_work_ends_where_it_checks_and_can_be_started_again() -> None:
    work, is_begun, go_on = Work(), threading.Event(), threading.Event()
    ended: list[str] = []

    def go() -> None:
        is_begun.set()
        go_on.wait(60)
        work.check()
        ended.append("at its end")

    work.start(later("Reading"), go)
    is_begun.wait(60)
    work.stop()
    go_on.set()
    work.join(60)
    assert ended == []
    assert work.error is None
    work.start(later("Reading"), go)
    work.join(60)
    assert ended == ["at its end"]
