"""`chatexports open`: the link that it prints, and the browser that it opens."""

import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from langchain_chatexports.cli import open as module
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.page import launcher, server
from tests.unit_tests.cli.conftest import Command

FIRST, SECOND = "http://127.0.0.1:1/?token=a", "http://127.0.0.1:1/?token=b"


@pytest.fixture
def given() -> dict[str, Any]:
    return {}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> list[str]:
    pages: list[str] = []

    def serve_page(on_link: Callable[[str], None], **options: Any) -> None:
        given.update(options)
        on_link(FIRST)
        on_link(SECOND)

    def read(address: str) -> None:
        pages.append(Path(url2pathname(urlsplit(address).path)).read_text())

    monkeypatch.setattr(server, "serve_page", serve_page)
    monkeypatch.setattr(webbrowser, "open", read)
    monkeypatch.setattr(module, "_has_windows", lambda: True)
    return pages


def test_links_are_alone_on_stdout_and_the_first_is_opened(
    chatexports: Command, opened: list[str], given: dict[str, Any]
) -> None:
    done = chatexports("open", "--base", "a/b", "--data-dir", "kept", "--port", "8000")
    assert done.status == 0
    assert done.out.splitlines() == [FIRST, SECOND]
    assert FIRST in opened.pop()
    assert not opened
    assert "For another browser" in done.err
    assert {key: str(value) for key, value in given.items()} == {
        "base": "a/b",
        "data_dir": "kept",
        "index_dir": "None",
        "port": "8000",
    }


def test_no_browser_is_opened_if_not_wanted_or_without_windows(
    chatexports: Command, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chatexports("open", "--no-browser").out.splitlines() == [FIRST, SECOND]
    monkeypatch.setattr(module, "_has_windows", lambda: False)
    assert chatexports("open").out.splitlines() == [FIRST, SECOND]
    assert opened == []


@pytest.mark.usefixtures("opened")
def test_at_its_end_a_stopped_training_is_said_if_there_is_one(
    chatexports: Command, tmp_path: Path
) -> None:
    data = DataDirectory(tmp_path / "kept")
    data.prepare()
    where = ("open", "--data-dir", "kept")
    assert chatexports(*where).err.endswith("Stopped.\n")
    jobs = JobStore(data)
    job = jobs.create({"model": "tiny"}, private={}, events=[])
    jobs.update(job["id"], only_from=("queued",), status="paused")
    assert "A training can be continued on the page." in chatexports(*where).err


def test_it_is_added_to_the_programs_and_removed(
    chatexports: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HOME", "APPDATA", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    path = launcher.launcher_path()
    monkeypatch.setattr(launcher, "install_launcher", lambda: path)
    assert str(path) in chatexports("open", "--install").err.replace("\n", "")
    done = chatexports("open", "--uninstall")
    assert (done.status, "not among this system" in done.err) == (0, True)
