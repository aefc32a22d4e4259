"""The entry in the system's program menu."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from langchain_chatexports.cli._launcher import (
    install_launcher,
    launcher_path,
    uninstall_launcher,
)
from langchain_chatexports.exceptions import ChatExportError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("APPDATA", str(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="desktop entries")
def test_desktop_entry_starts_page(tmp_path: Path) -> None:
    install_launcher()
    path = tmp_path / ".local/share/applications/chatexports.desktop"
    lines = dict(
        line.split("=", 1) for line in path.read_text().splitlines() if "=" in line
    )
    command = shlex.split(lines["Exec"])
    assert command == [sys.executable, "-m", "langchain_chatexports.cli", "open"]
    assert lines["Terminal"] == "true"
    assert install_launcher() == path
    assert uninstall_launcher() == path
    assert not path.exists()
    assert uninstall_launcher() is None


@pytest.mark.skipif(sys.platform != "linux", reason="desktop entries")
@pytest.mark.parametrize("folder", ["a b", 'q"`$x', "100%", "back\\slash"])
def test_special_characters_are_quoted(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", f"/opt/{folder}/python")
    (line,) = (
        line for line in install_launcher().read_text().splitlines() if "Exec=" in line
    )
    # The specification's order: escapes of the value, then quotes, then field codes.
    value = line.removeprefix("Exec=").replace("\\\\", "\\")
    quoted = re.match(r'"((?:\\.|[^"\\])*)"', value)
    assert quoted
    program = re.sub(r"\\(.)", r"\1", quoted[1]).replace("%%", "%")
    assert program == f"/opt/{folder}/python"


def test_mac_launcher_is_a_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    path = install_launcher()
    assert path == tmp_path / "Applications" / "Chat exports.command"
    assert path.stat().st_mode & 0o777 == 0o700
    assert path.read_text().startswith("#!/bin/sh\n")
    assert uninstall_launcher() == path


def test_windows_launcher_is_a_shortcut(monkeypatch: pytest.MonkeyPatch) -> None:
    variables: dict[str, str] = {}

    def run(_command: object, *, env: dict[str, str], **_options: object) -> None:
        variables.update(env)
        Path(env["LINK_PATH"]).write_bytes(env["LINK_MARK"].encode("utf-16-le"))

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "run", run)
    path = install_launcher()
    assert path.name == "Chat exports.lnk"
    assert variables["LINK_TARGET"] == sys.executable
    assert variables["LINK_ARGUMENTS"] == "-m langchain_chatexports.cli open"
    assert uninstall_launcher() == path


def test_foreign_entry_is_kept() -> None:
    path = launcher_path()
    path.parent.mkdir(parents=True)
    path.write_text("[Desktop Entry]\n")
    for change in (install_launcher, uninstall_launcher):
        with pytest.raises(ChatExportError, match="not created by chatexports"):
            change()
    assert path.read_text() == "[Desktop Entry]\n"
