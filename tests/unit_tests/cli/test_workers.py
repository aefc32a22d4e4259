"""`prepare --workers`, as a person types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.samples import write_imessage, write_messenger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


@pytest.fixture
def threads(tmp_path: Path) -> Path:
    return write_messenger(tmp_path / "hogwarts")


def _files(folder: Path, name: str) -> dict[str, bytes]:
    found = folder.glob(f"{name}*")
    return {file.name.removeprefix(name): file.read_bytes() for file in found}


def test_two_workers_write_and_say_what_one_does(
    chatexports: Callable[..., Any], tmp_path: Path, threads: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    typed = ("prepare", threads, "--redact", "--key", "names.key", "--json")
    one = chatexports(*typed, "-o", "one/set.jsonl")
    two = chatexports(*typed, "-o", "two/set.jsonl", "--workers", "2")

    assert two.status == 0
    assert re.search(r"\b6 of 6 parts read: 663 of 663 messages, .* a second", two.err)
    assert _files(tmp_path / "one", "set") == _files(tmp_path / "two", "set")
    told = [json.loads(done.out.replace("two/", "one/")) for done in (one, two)]
    assert told[0] == told[1]


def test_workers_say_when_nobody_has_the_name(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    database = write_imessage(tmp_path / "chat.db")
    done = chatexports(
        "prepare", database, "--ai", "Tortise", "-o", "x.jsonl", "--workers", "2"
    )

    assert done.status != 0
    assert "Tortoise" in done.err
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.parametrize(
    "options", [["--split"], ["--dedup", "exact"], ["--format", "mlx"]]
)
def test_what_compares_examples_needs_one_process(
    chatexports: Callable[..., Any], threads: Path, options: list[str]
) -> None:
    done = chatexports("prepare", threads, "-o", "x.jsonl", "--workers", "2", *options)

    assert done.status == 2
    assert "--workers is for examples" in done.err


# A module of its own, which each process imports when it starts.
WAITING = """
import time
from langchain_chatexports import MergeChatRuns
from langchain_chatexports.cli import main

def transform_session(self, session):
    time.sleep(300)

MergeChatRuns.transform_session = transform_session
if __name__ == "__main__":
    main()
"""


# Its processes are still importing when Ctrl-C comes, and get it before the first one.
STARTING = """
import os
import signal
import time
from pathlib import Path
from langchain_chatexports.cli import main

if __name__ == "__main__":
    main()
else:
    os.kill(os.getpid(), signal.SIGINT)
    Path(f"starting-{time.monotonic_ns()}").touch()
    time.sleep(300)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("program", "signs"),
    [(WAITING, ".chatexports-*/*/*/trace"), (STARTING, "starting-*")],
    ids=["reading", "starting"],
)
def test_ctrl_c_ends_the_workers_and_leaves_nothing(
    tmp_path: Path, program: str, signs: str
) -> None:
    write_imessage(tmp_path / "chat.db")
    (tmp_path / "program.py").write_text(program)
    before = {path.name for path in tmp_path.iterdir()}
    options = ("--ai", "Hare", "-o", "x.jsonl", "--workers", "2")
    process = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "program.py", "prepare", "chat.db", *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            if len([*tmp_path.glob(signs)]) == 2:
                break
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        # Its end is read only when the workers have ended, too.
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    for sign in tmp_path.glob("starting-*"):
        sign.unlink()
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == before
    assert "Traceback" not in err
