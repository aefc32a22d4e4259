"""Function calls in a child process."""

import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
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


_CHILD = """
import json, os, sys
from langchain_chatexports.local_server.processes import read_settings
def main():
    settings = read_settings()
    found = {name: os.environ.get(name) for name in settings["names"]}
    found["umask"] = os.umask(0) if os.name != "nt" else 0o077
    found["path"] = sys.path[0]
    print(json.dumps(found), flush=True)
    while True:
        pass
main()
"""


@pytest.fixture
def child_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "child_of_a_test.py").write_text(_CHILD)
    paths = (str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.chdir(tmp_path)
    return "child_of_a_test"


def test_child_has_settings_but_no_keys(
    child_module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file in the working directory would shadow this module.
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "queue.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    names = ["OPENAI_API_KEY", "HF_TOKEN", "OMP_NUM_THREADS", "HF_HUB_OFFLINE"]
    with processes.start(child_module, {"names": names}, threads=3) as child:
        assert child.stdout is not None
        found = json.loads(child.stdout.readline())
        child.kill()
    assert (found["OPENAI_API_KEY"], found["HF_TOKEN"]) == (None, None)
    assert (found["OMP_NUM_THREADS"], found["HF_HUB_OFFLINE"]) == ("3", "1")
    assert found["umask"] == 0o077
    assert "sub" not in found["path"]


def test_child_exits_when_its_pipe_is_closed(child_module: str) -> None:
    with processes.start(child_module, {"names": []}) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(60) == 1


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1)]
)
def test_cores_are_those_that_the_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(processes, "_CPU_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr("psutil.cpu_count", lambda **_: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16), raising=False)
    assert processes.physical_cores() == cores
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert processes.physical_cores() == 1
