"""Function calls in a child process."""

import gc
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import processes
from langchain_chatexports.local_server.processes import (
    ChildProcessFailedError,
    call_in_child,
    child_command,
    report,
    resume_garbage_collection,
)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the child import this file."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def add(first: int, second: int) -> int:
    sys.stdout.write("output of a library\n")
    report([first])
    return first + second


def garbage_thresholds() -> list[int]:
    """Return the first threshold before and after it is restored."""
    before, *_ = gc.get_threshold()
    resume_garbage_collection()
    after, *_ = gc.get_threshold()
    return [before, after]


def fail(kind: str) -> None:
    if kind == "ours":
        raise LocalServerError(kind)
    if kind == "killed":
        os.abort()
    time.sleep(600 if kind == "late" else 0)
    raise ValueError(kind)


def test_child_returns_result_and_reports() -> None:
    reports: list[Any] = []
    assert call_in_child(add, 1, 2, on_report=reports.append) == 3
    assert reports == [[1]]


def test_imports_in_child_rarely_collect_garbage() -> None:
    before, after = call_in_child(garbage_thresholds)
    assert before > 10 * after


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("ours", r"^ours$"),
        ("another", r"^ValueError: another$"),
        ("killed", r"its process exited with code -?\d+"),
        ("late", "it took more than 2 seconds"),
    ],
)
def test_child_failure_is_explained(kind: str, reason: str) -> None:
    with pytest.raises(ChildProcessFailedError, match=reason):
        call_in_child(fail, kind, timeout=2 if kind == "late" else None)


def test_child_exits_with_its_parent() -> None:
    task = f'["{__name__}", "fail", ["late"]]\n'
    with subprocess.Popen(  # noqa: S603 - ours.
        child_command(processes.__name__), stdin=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        child.stdin.write(task.encode("ascii"))
        child.stdin.close()
        assert child.wait(300) == 1
