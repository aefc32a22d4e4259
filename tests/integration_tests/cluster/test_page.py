"""The code blocks in docs/scale.md run."""

from pathlib import Path

import pytest

from tests.unit_tests.builders.pages import run_page

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray has many warnings.


def test_page_examples_print_documented_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()
    assert run_page("scale.md", capsys, kinds=("python ray",))
    assert list(tmp_path.glob("examples/*.jsonl"))
