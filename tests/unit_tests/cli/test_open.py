"""`chatexports open`: the link that it prints, and the browser that it opens."""

import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from langchain_chatexports.cli import _launcher as launcher
from langchain_chatexports.cli import open as module
from langchain_chatexports.local_server import Workspace
from langchain_chatexports.page import server
from tests.unit_tests.builders.workspaces import add_job
from tests.unit_tests.cli.conftest import Run

FIRST, SECOND = "http://127.0.0.1:1/?token=a", "http://127.0.0.1:1/?token=b"


@pytest.fixture
def options() -> dict[str, Any]:
    return {}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> list[str]:
    pages: list[str] = []

    def serve_page(on_link: Callable[[str], None], **arguments: Any) -> None:
        options.update(arguments)
        on_link(FIRST)
        on_link(SECOND)

    def read(address: str) -> None:
        pages.append(Path(url2pathname(urlsplit(address).path)).read_text())

    monkeypatch.setattr(server, "serve_page", serve_page)
    monkeypatch.setattr(webbrowser, "open", read)
    monkeypatch.setattr(module, "_has_display", lambda: True)
    return pages


def test_links_are_printed_and_the_first_opened(
    run: Run, opened: list[str], options: dict[str, Any]
) -> None:
    done = run("open", "--base", "a/b", "--data-dir", "kept", "--port", "8000")
    assert done.status == 0
    assert done.out.splitlines() == [FIRST, SECOND]
    assert FIRST in opened.pop()
    assert not opened
    assert "For another browser" in done.err
    assert {key: str(value) for key, value in options.items()} == {
        "base": "a/b",
        "data_dir": "kept",
        "index_dir": "None",
        "port": "8000",
    }


def test_no_browser_without_display(
    run: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("open", "--no-browser").out.splitlines() == [FIRST, SECOND]
    monkeypatch.setattr(module, "_has_display", lambda: False)
    assert run("open").out.splitlines() == [FIRST, SECOND]
    assert opened == []


@pytest.mark.usefixtures("opened")
def test_stopped_training_is_mentioned(run: Run, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "kept")
    command = ("open", "--data-dir", "kept")
    assert run(*command).err.endswith("Stopped.\n")
    workspace.jobs.pause(add_job(workspace).id)
    assert "You can resume training on the page." in run(*command).err


def test_install_and_uninstall_are_reported(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    path = launcher.launcher_path()
    monkeypatch.setattr(launcher, "install_launcher", lambda: path)
    assert str(path) in run("open", "--install").err.replace("\n", "")
    done = run("open", "--uninstall")
    assert (done.status, "No app shortcut was installed" in done.err) == (0, True)


def test_second_open_shows_the_running_page(
    run: Run,
    opened: list[str],
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "find_running_page", lambda _: SECOND)
    monkeypatch.setattr(module, "_BROWSER_SECONDS", 0.0)
    done = run("open", "--data-dir", "kept")
    assert done.status == 0
    assert done.out.splitlines() == [SECOND]
    assert SECOND in opened.pop()
    assert "already running" in done.err
    assert options == {}
