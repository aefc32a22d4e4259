"""A killed command leaves no text: the next start and a deletion find all of it."""

import os
import random
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.conftest import NEEDS_SIGKILL
from tests.integration_tests.commands import COMMAND

pytestmark = [
    pytest.mark.release,
    NEEDS_SIGKILL,
]

_KILLS = 10
_WORD = "zebulonium"
_COMMANDS = {
    "inspect": (["inspect", "chat.zip"], []),
    "prepare": (
        ["prepare", "chat.zip", "--ai", "Ann", "-o", "set.jsonl"],
        ["set.jsonl"],
    ),
    "redact": (
        ["prepare", "chat.zip", "--ai", "Ann", "--redact", "--split", "-o", "set"],
        ["set", "set.key", "train.jsonl", "validation.jsonl", "test.jsonl"],
    ),
    "search": (["search", "hello", "chat.zip"], []),
    "report": (["report", "chat.zip", "-o", "report.html"], ["report.html"]),
    "forget": (["forget", "made.jsonl", "--person", "Bob"], ["made.jsonl"]),
}


def _write_export(path: Path) -> None:
    lines = (
        f"{1 + n // 1000:02d}/03/2024, {n // 60 % 17:02d}:{n % 60:02d} - "
        f"{'Ann' if n % 3 else 'Bob'}: {_WORD} number {n}, hello\n"
        for n in range(20_000)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("WhatsApp Chat with Ann.txt", "".join(lines))


def _files_with_text(folder: Path) -> list[Path]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in paths if _WORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", _COMMANDS)
def test_killed_command_leaves_no_text(name: str, tmp_path: Path) -> None:
    arguments, outputs = _COMMANDS[name]
    homes = {"HOME": "home", "TMPDIR": "tmp", "XDG_DATA_HOME": "data"}
    environment = {**os.environ, **{k: str(tmp_path / v) for k, v in homes.items()}}
    _write_export(tmp_path / "chat.zip")

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    if name == "forget":
        made = ["prepare", "chat.zip", "--ai", "Ann", "-o", "made.jsonl"]
        assert start(*made).wait() == 0
    kept = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def reset() -> None:
        for path in {*tmp_path.iterdir()} - {*kept}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in homes.values():
            (tmp_path / folder).mkdir()
        for path, data in kept.items():
            path.write_bytes(data)

    reset()
    started = time.monotonic()
    assert start(*arguments).wait() == 0
    seconds = time.monotonic() - started
    rng = random.Random(50)
    for _ in range(_KILLS):
        reset()
        process = start(*arguments)
        time.sleep(rng.uniform(0.2, 1) * seconds)
        process.kill()
        process.wait()
        assert start("--version").wait() == 0
        left = {path.name for path in _files_with_text(tmp_path)}
        traces = {f"{output}.trace.jsonl" for output in outputs}
        assert {each for each in left if not each.endswith(".chatindex")} <= {
            *outputs,
            *traces,
        }
