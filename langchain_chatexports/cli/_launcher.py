"""An entry in the system's app menu that opens the page without typing a command.

Linux: a desktop entry (https://specifications.freedesktop.org/desktop-entry-spec);
macOS: a `.command` file, which Finder opens in Terminal; Windows: a shortcut in the
Start menu. Each opens a terminal window; closing it stops the page.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from langchain_chatexports._files import write_atomic
from langchain_chatexports.exceptions import ChatExportError

_NAME = "Chat exports"
# Identifies entries of this package.
_MARK = "made by langchain-chatexports"
_ARGUMENTS = ("-m", "langchain_chatexports.cli", "open")
_DESKTOP = """[Desktop Entry]
# {mark}
Type=Application
Version=1.5
Name={name}
Comment=Train a model on your own chats, on this computer
Exec={command}
Terminal=true
Categories=Utility;
"""
_SHORTCUT = (
    "$s = (New-Object -ComObject WScript.Shell).CreateShortcut($env:LINK_PATH); "
    "$s.TargetPath = $env:LINK_TARGET; $s.Arguments = $env:LINK_ARGUMENTS; "
    "$s.Description = $env:LINK_MARK; $s.Save()"
)


def launcher_path() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Applications" / f"{_NAME}.command"
    if sys.platform == "win32":
        programs = Path(os.environ["APPDATA"], "Microsoft/Windows/Start Menu/Programs")
        return programs / f"{_NAME}.lnk"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data, "applications", "chatexports.desktop")


def install_launcher() -> Path:
    """Write the entry, and return its path."""
    path = launcher_path()
    _check_ownership(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        values = {
            "LINK_PATH": str(path),
            "LINK_TARGET": sys.executable,
            "LINK_ARGUMENTS": subprocess.list2cmdline(_ARGUMENTS),
            "LINK_MARK": _MARK,
        }
        command = ("powershell", "-NoProfile", "-Command", _SHORTCUT)
        subprocess.run(command, check=True, env={**os.environ, **values})  # noqa: S603
    elif sys.platform == "darwin":
        line = shlex.join((sys.executable, *_ARGUMENTS))
        write_atomic(path, f"#!/bin/sh\n# {_MARK}\nexec {line}\n".encode())
        path.chmod(0o700)
    else:
        words = " ".join(map(_quote_exec_argument, (sys.executable, *_ARGUMENTS)))
        entry = _DESKTOP.format(mark=_MARK, name=_NAME, command=words)
        write_atomic(path, entry.encode())
    return path


def uninstall_launcher() -> Path | None:
    """Remove the entry, and return its path; `None` if there was none."""
    path = launcher_path()
    if not path.exists():
        return None
    _check_ownership(path)
    path.unlink()
    return path


def _check_ownership(path: Path) -> None:
    marks = (_MARK.encode(), _MARK.encode("utf-16-le"))  # Shortcuts use UTF-16.
    if path.exists() and not any(mark in path.read_bytes() for mark in marks):
        msg = f"{path} was not created by chatexports. Rename it, and try again."
        raise ChatExportError(msg)


def _quote_exec_argument(word: str) -> str:
    """Quote an argument of `Exec`: reserved characters, and `%`, for field codes."""
    for character in '\\"`$':
        word = word.replace(character, f"\\{character}")
    # Parsers unescape the value before they unescape the quoted argument.
    return '"' + word.replace("\\", "\\\\").replace("%", "%%") + '"'
