"""What `--json` prints is what the page says, and nothing else."""

import json
import re
from pathlib import Path

import pytest

from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.pages import DOCS
from tests.unit_tests.cli.conftest import Command


def keys_on_the_page(command: str) -> set[str]:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    table = text[text.index("## For programs") :]
    (cell,) = re.findall(rf"^\| `{command}` \| (.*) \|$", table, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", cell)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "chat.db"],
        ["prepare", "chat.db", "--ai", "Hare", "-o", "set"],
        ["models", "--data-dir", "nowhere"],
    ],
)
def test_the_keys_are_those_of_the_page(
    chatexports: Command, tmp_path: Path, arguments: list[str]
) -> None:
    write_imessage(tmp_path / "chat.db")
    done = chatexports(*arguments, "--json")
    assert done.status == 0, done.err
    told = json.loads(done.out)
    found = told[0] if isinstance(told, list) else told
    assert set(found) == keys_on_the_page(arguments[0])


@pytest.mark.parametrize("command", ["inspect", "report"])
def test_of_an_error_nothing_is_on_stdout(chatexports: Command, command: str) -> None:
    done = chatexports(command, "nowhere", "--json")
    assert (done.status, done.out) == (1, "")
