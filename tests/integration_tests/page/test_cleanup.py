"""No copy of a chat is left when the page's process ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SECONDS = 600


@contextmanager
def _start(folder: Path, data: str = "data") -> Iterator[subprocess.Popen[str]]:
    """Run `chatexports open` with a dropped file in its own temporary folder."""
    env = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    code = (
        # What `nohup` starts ignores SIGHUP.
        "import signal\n"
        "if hasattr(signal, 'SIGHUP'):\n"
        "    signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from langchain_chatexports.page.session import PageSession as S\n"
        "enter = S.__enter__\n"
        "def enter_with_copy(self):\n"
        "    self.exports.receive_file('1', 'chat.txt').write_text('a private chat')\n"
        "    return enter(self)\n"
        "S.__enter__ = enter_with_copy\n"
        "from langchain_chatexports.cli import main\n"
        "main()\n"
    )
    command = ["open", "--no-browser", "--data-dir", str(folder / data)]
    with subprocess.Popen(  # noqa: S603 - our own command.
        [sys.executable, "-c", code, *command],
        cwd=folder,
        env={**env, "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http")
            yield process
        finally:
            process.kill()


def _copies(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if path.name != ".lock"]  # Of the register of parts.


def _has_chat(folder: Path) -> bool:
    return any(
        "private" in path.read_text(errors="replace") for path in _copies(folder)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_signal_deletes_copies(tmp_path: Path, name: str) -> None:
    (tmp_path / "tmp").mkdir()
    with _start(tmp_path) as process:
        assert _has_chat(tmp_path / "tmp")
        process.send_signal(getattr(signal, name))
        process.wait(_SECONDS)
    assert _copies(tmp_path / "tmp") == []


def test_next_start_deletes_copies_of_killed_page(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    other = tmp_path / "tmp" / "chatexports-mine"
    other.mkdir()
    (other / "notes.txt").write_text("not a copy")
    with _start(tmp_path) as killed:
        killed.kill()
    assert _has_chat(tmp_path / "tmp")
    with _start(tmp_path) as first, _start(tmp_path, "other") as second:
        # Copies of a running process are kept.
        copies = [p for p in _copies(tmp_path / "tmp") if p.name == "chat.txt"]
        assert len(copies) == 2
        for process in (first, second):
            process.terminate()
            process.wait(_SECONDS)
    assert _copies(tmp_path / "tmp") == [other / "notes.txt"]
