"""The code blocks of docs/tutorials.md before the upload."""

from itertools import takewhile
from pathlib import Path

import pytest

from tests.integration_tests.tutorials.page import read_blocks, run_blocks


@pytest.mark.parametrize(
    ("section", "count"), [("iMessage", 2), ("Facebook Messenger", 5)]
)
def test_code_blocks_have_the_stated_output(
    section: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = [*takewhile(lambda b: "import openai" not in b.code, read_blocks(section))]
    outputs = [
        (outcome.shown.strip(), block.output.strip())
        for block, outcome in zip(blocks, run_blocks(blocks), strict=True)
        if block.output is not None
    ]
    assert len(outputs) == count
    assert [actual for actual, _ in outputs] == [expected for _, expected in outputs]
