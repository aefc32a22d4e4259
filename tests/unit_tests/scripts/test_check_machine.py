"""Problems with the machine are reported before anything is installed."""

import importlib.util
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "check_machine.py"


@pytest.fixture
def script() -> Any:
    spec = importlib.util.spec_from_file_location("check_machine", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _leave_free(monkeypatch: pytest.MonkeyPatch, gigabytes: int) -> None:
    usage = shutil.disk_usage("/")._replace(free=gigabytes * 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_suitable_machine_has_no_problem(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _leave_free(monkeypatch, 4)
    assert script.problem(str(tmp_path)) is None


def test_old_python_error_suggests_another_one(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    problem = script.problem(str(tmp_path))
    assert "Python 3.9 is too old" in problem
    assert "PYTHON=" in problem
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("system", "machine", "release", "wanted"),
    [
        ("FreeBSD", "amd64", "", "Linux, macOS 14"),
        ("Darwin", "x86_64", "15.1", "Apple silicon"),
        ("Darwin", "arm64", "13.6", "macOS 14"),
    ],
)
def test_unsupported_system_error_lists_supported_ones(
    script: Any,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str,
    release: str,
    wanted: str,
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (release, ("", "", ""), machine))
    assert wanted in script.problem("/")


def test_full_disk_error_states_the_required_space(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _leave_free(monkeypatch, 2)
    problem = script.problem(str(tmp_path))
    assert "3 GB are needed" in problem
    assert "VENV=" in problem


def test_nearest_existing_folder_is_found(script: Any, tmp_path: Path) -> None:
    assert script.nearest_folder(str(tmp_path / "a" / "b")) == str(tmp_path)
