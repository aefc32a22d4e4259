"""Exports with unusual file names become examples, and one of them a model.

Training does not depend on the app, so one model is enough.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.datasets import validate_examples
from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_slack,
    write_telegram,
    write_whatsapp,
)
from tests.integration_tests import commands
from tests.unit_tests.builders.tables import conversation_rows, write_csv

pytestmark = pytest.mark.training

TIMEOUT = 1200
# With random weights, some of the answers may be empty.
_QUESTIONS = "Are you ready?\n" * 10
_BRIEFLY = ("--max-tokens", "8")


@pytest.fixture
def chatexports(tmp_path: Path) -> Any:
    """Run the command in a new folder, with a new user data folder."""
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "home")}
    return partial(commands.chatexports, tmp_path, timeout=TIMEOUT, env=environment)


def fingerprint(folder: Any) -> Any:
    """Return hashes and times, which reveal any change of a source."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
        )
        for path in sorted([folder, *folder.rglob("*")])
    }


def chat_command(done: Any) -> Any:
    """Return the command in the last line."""
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"chatexports chat ft:[A-Za-z0-9._:-]+", last)
    return shlex.split(last)[1:]


@pytest.mark.parametrize(
    "is_tiny",
    [
        pytest.param(True, id="tiny"),
        pytest.param(False, id="default", marks=pytest.mark.release),
    ],
)
def test_model_of_renamed_database_answers(
    chatexports: Any, tmp_path: Path, tiny_base: Path, is_tiny: bool
) -> None:
    base_options = ("--base", tiny_base) if is_tiny else ()
    source = tmp_path / "from a friend"
    source.mkdir()
    path = write_imessage(source / "chat.db").rename(source / "old phone.backup")
    before = fingerprint(source)

    options = ("--ai", "Tortoise", "--whole")
    done = chatexports("finetune", path, *options, *base_options)

    assert "10 examples" in done.stderr
    assert re.search(r"step \d+/\d+, loss \d", done.stderr)
    assert fingerprint(source) == before
    command = chat_command(done)
    # The server of `finetune` has exited; each `chat` starts a new one.
    answer = chatexports(*command, *_BRIEFLY, stdin=f"\n{_QUESTIONS}")
    assert answer.returncode == 0, answer.stderr
    assert len([line for line in answer.stdout.splitlines() if line.strip()]) >= 2
    newest = chatexports("chat", *_BRIEFLY, stdin=_QUESTIONS)
    assert newest.returncode == 0, newest.stderr
    assert command[-1] in newest.stderr
    assert newest.stdout.strip()


def write_renamed_zip(path: Any) -> Any:
    """Write Messenger's zip under a name without suffix."""
    folder = write_messenger(path / "my_data")
    file = shutil.make_archive(str(path / "zip"), "zip", folder.parent, folder.name)
    return shutil.move(file, path / "facebook-somebody")


def write_tickets(path: Any) -> Any:
    """Write twenty tickets, as a help desk exports them."""
    rows = [row for n in range(20) for row in conversation_rows(f"ticket {n}")]
    return write_csv(path.with_suffix(".csv"), rows)


@pytest.mark.parametrize(
    ("write", "speaker"),
    [
        (write_renamed_zip, ("--ai", "Harry Potter", "--gap", "none")),
        # The owner, known from the chat's name.
        (write_whatsapp, ()),
        # The handle of Hare.
        (write_discord, ("--ai", "@hare")),
        (write_slack, ("--ai", "@hare")),
        # The owner, known from the chat's id.
        (write_telegram, ()),
        (write_tickets, ("--ai", "Agent 7")),
    ],
)
def test_samples_become_examples(
    chatexports: Any, tmp_path: Path, write: Any, speaker: tuple[str, ...]
) -> None:
    path = write(tmp_path / "export")
    before = fingerprint(path)
    done = chatexports("prepare", path, *speaker, "-o", "examples.jsonl")

    assert done.returncode == 0, done.stderr
    assert fingerprint(path) == before
    lines = (tmp_path / "examples.jsonl").read_bytes().splitlines()
    assert validate_examples(map(json.loads, lines)) == []
