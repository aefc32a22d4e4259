"""The keys of `--json` are those in the documentation."""

import json
import re
from pathlib import Path

import pytest

from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.pages import DOCS
from tests.unit_tests.cli.conftest import Run


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
def test_documented_json_keys(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    write_imessage(tmp_path / "chat.db")
    done = run(*arguments, "--json")
    assert done.status == 0, done.err
    output = json.loads(done.out)
    found = output[0] if isinstance(output, list) else output
    assert set(found) == keys_on_the_page(arguments[0])


@pytest.mark.parametrize("command", ["inspect", "report"])
def test_errors_print_nothing_on_stdout(run: Run, command: str) -> None:
    done = run(command, "nowhere", "--json")
    assert (done.status, done.out) == (1, "")
