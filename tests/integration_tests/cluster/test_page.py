"""The page on many exports does what it says."""

from pathlib import Path

import pytest

from tests.unit_tests.builders.pages import run_page

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds.


def test_blocks_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()
    assert run_page("scale.md", capsys, kinds=("python ray",))
    assert list(tmp_path.glob("examples/*.jsonl"))
