"""Existing files are overwritten only with --force."""

from pathlib import Path

import pytest

from langchain_chatexports.samples import write_imessage
from tests.unit_tests.cli.conftest import Run

NOTES = "my notes"
COMMANDS = ["prepare chat.db --ai Tortoise", "report chat.db", "evaluate"]
EXAMPLE = '{"messages":[{"role":"user","content":"mine"}]}\n'


@pytest.fixture(autouse=True)
def _inputs(tmp_path: Path) -> None:
    write_imessage(tmp_path / "chat.db")


@pytest.mark.parametrize("notes", [NOTES, EXAMPLE])
@pytest.mark.parametrize("command", COMMANDS)
def test_existing_file_is_kept(
    run: Run, tmp_path: Path, command: str, notes: str
) -> None:
    (tmp_path / "notes.txt").write_text(notes)
    done = run(*command.split(), "-o", "notes.txt")
    assert done.status == 2
    assert "--force" in done.err
    assert (tmp_path / "notes.txt").read_text() == notes


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS[:-1],
        "prepare chat.db --ai Tortoise --split",
        "prepare chat.db --ai Tortoise --redact",
    ],
)
def test_force_overwrites_the_output(run: Run, tmp_path: Path, command: str) -> None:
    arguments = (*command.split(), "-o", "out")
    assert run(*arguments).status == 0
    before = _contents(tmp_path)
    done = run(*arguments)
    assert (done.status, "--force" in done.err) == (2, True)
    assert _contents(tmp_path) == before
    assert run(*arguments, "--force").status == 0


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_foreign_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.jsonl").write_text(EXAMPLE)
    done = run("prepare", "chat.db", "--ai=Tortoise", "--split", "-o", "mine")
    assert (done.status, "--force" in done.err) == (2, True)
    assert (tmp_path / "mine" / "train.jsonl").read_text() == EXAMPLE


@pytest.mark.parametrize("content", ["", NOTES])
def test_foreign_key_file_is_refused(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "notes.txt").write_text(content)
    (tmp_path / "notes.txt").rename(tmp_path / "out.key")
    options = ("--ai", "Tortoise", "--redact")
    done = run("prepare", "chat.db", *options, "-o", "out")
    assert (done.status, "not a key file" in done.err) == (1, True)
    assert (tmp_path / "out.key").read_text() == content
    assert not (tmp_path / "out").exists()
