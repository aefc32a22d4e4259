"""Function calls in a child process."""

import gc
import json
import os
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


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight cores of two logical CPUs each; the folder has the files of `/sys`."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(processes, "_CGROUPS", tmp_path)
    monkeypatch.setattr(processes, "_CPUS", tmp_path)
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 16 if logical else 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(16), raising=False)
    for number in range(16):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        siblings = f"{number % 8},{number % 8 + 8}\n"
        (folder / "thread_siblings_list").write_text(siblings)
    return tmp_path


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("allowed", "threads"), [(range(16), 8), ({3}, 1), ({1, 9}, 1), ({1, 2, 9}, 2)]
)
def test_threads_are_physical_cores_of_the_affinity(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed)
    assert processes.thread_count() == threads


@pytest.mark.parametrize(
    ("quota", "period", "threads"),
    [("max", "100000", 8), ("150000", "100000", 2), ("50000", "100000", 1)],
)
def test_threads_are_limited_by_a_container(
    machine: Path, quota: str, period: str, threads: int
) -> None:
    (machine / "cpu.max").write_text(f"{quota} {period}\n")
    assert processes.thread_count() == threads
    (machine / "cpu.max").unlink()
    (machine / "cpu").mkdir()
    no_quota = quota.replace("max", "-1")
    (machine / "cpu" / "cpu.cfs_quota_us").write_text(no_quota)
    (machine / "cpu" / "cpu.cfs_period_us").write_text(period)
    assert processes.thread_count() == threads


@pytest.mark.usefixtures("machine")
def test_threads_without_affinity_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS and Windows, where psutil may not know the cores either."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert processes.thread_count() == 8
    monkeypatch.setattr("psutil.cpu_count", lambda **_: None)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processes.thread_count() == 1


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("given", "threads"), [("3", 3), ("12", 12), ("0", 8), ("x", 8)]
)
def test_users_number_of_threads_takes_precedence(
    monkeypatch: pytest.MonkeyPatch, given: str, threads: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert processes.thread_count() == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_threads_of_this_machine_follow_its_affinity() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert processes.physical_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
