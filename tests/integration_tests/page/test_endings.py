"""However the page's process ends, no copy of a chat stays behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def _start(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `chatexports open` with a temporary folder of its own, and a dropped file."""
    own = {key: text for key, text in os.environ.items() if "PYTEST" not in key}
    code = (
        "from langchain_chatexports.page.session import PageSession as S\n"
        "begin = S.__enter__\n"
        "def enter(self):\n"
        "    self.exports.new_copy('chat.txt').write_text('a private chat')\n"
        "    return begin(self)\n"
        "S.__enter__ = enter\n"
        "from langchain_chatexports.cli import main\n"
        "main()\n"
    )
    words = ["open", "--no-browser", "--data-dir", str(folder / "data")]
    with subprocess.Popen(  # noqa: S603 - our own command.
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**own, "TMPDIR": str(folder / "tmp")},
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
    return [path for path in folder.rglob("*") if path.is_file()]


def _has_chat(folder: Path) -> bool:
    return any(
        "private" in path.read_text(errors="replace") for path in _copies(folder)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_signal_deletes_what_was_dropped(tmp_path: Path, name: str) -> None:
    (tmp_path / "tmp").mkdir()
    with _start(tmp_path) as process:
        assert _has_chat(tmp_path / "tmp")
        process.send_signal(getattr(signal, name))
        process.wait(60)
    assert _copies(tmp_path / "tmp") == []


def test_the_next_start_deletes_what_a_kill_left(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    other = tmp_path / "tmp" / "chatexports-mine"
    other.mkdir()
    (other / "notes.txt").write_text("of the person")
    with _start(tmp_path) as killed:
        killed.kill()
    assert _has_chat(tmp_path / "tmp")
    with _start(tmp_path) as first, _start(tmp_path) as second:
        # Those of a process that runs stay.
        copies = [p for p in _copies(tmp_path / "tmp") if p.name == "chat.txt"]
        assert len(copies) == 2
        for process in (first, second):
            process.terminate()
            process.wait(60)
    assert _copies(tmp_path / "tmp") == [other / "notes.txt"]
