"""The README's examples run, and print what the README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_examples_print_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    examples = [i for i, (language, _) in enumerate(blocks) if language == "python"]
    assert len(examples) == 2
    names: dict[str, object] = {}
    for index in examples:
        exec(blocks[index][1], names)  # noqa: S102 - our own README
        language, expected = blocks[index + 1]
        assert language == "text"
        assert capsys.readouterr().out == expected


def test_every_page_that_the_readme_links_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert links
    missing = [link for link in links if not (README.parent / link).exists()]
    assert not missing
