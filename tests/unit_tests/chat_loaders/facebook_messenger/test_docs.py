"""The code of the docs page runs, and prints what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


PAGE = Path(__file__).parents[4] / "docs" / "facebook_messenger.md"
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_pages_code_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    printed = []
    for number, (language, code) in enumerate(blocks):
        if language != "python":
            continue
        exec(code, scope)  # noqa: S102 - our own page
        following, expected = blocks[number + 1]
        if following == "text":
            printed.append((capsys.readouterr().out, expected))
    assert len(printed) == 4
    for out, expected in printed:
        assert out == expected
