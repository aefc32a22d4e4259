"""The blocks of docs/tutorials.md up to the upload: no server, no training."""

from itertools import takewhile
from pathlib import Path

import pytest

from tests.integration_tests.tutorials.page import read_blocks, run_blocks


@pytest.mark.parametrize(
    ("section", "stated"), [("iMessage", 2), ("Facebook Messenger", 5)]
)
def test_blocks_give_what_the_page_says(
    section: str, stated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = list(
        takewhile(lambda block: "import openai" not in block.code, read_blocks(section))
    )

    outcomes = run_blocks(blocks)

    checked = [
        (outcome.shown.strip(), block.output.strip())
        for block, outcome in zip(blocks, outcomes, strict=True)
        if block.output is not None
    ]
    assert len(checked) == stated
    assert [shown for shown, _ in checked] == [said for _, said in checked]
