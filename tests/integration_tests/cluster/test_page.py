"""The page on many exports does what it says."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit_tests.builders.pages import read_page

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds.


def test_blocks_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()
    blocks = read_page("scale.md", kinds=("python ray",))
    assert blocks
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block.code, "scale.md", "exec"), names)  # noqa: S102 - our page
        printed = capsys.readouterr().out
        if block.output is not None:
            assert printed == block.output
    assert list(tmp_path.glob("examples/*.jsonl"))
