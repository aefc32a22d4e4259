"""The code blocks of `docs/fine_tuning.md` run as one script."""

import re
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.openai_server import KEY, OpenAIServer
from tests.unit_tests.builders.tuners import chat

PAGE = Path(__file__).parents[3] / "docs" / "fine_tuning.md"


def test_page_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_imessage("chat.db")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 6
    names: dict[str, Any] = {}
    with OpenAIServer().running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
        chat(names["model"])
        assert (len(server.jobs), server.uploads) == (1, 1)
    printed = capsys.readouterr().out
    assert printed.startswith("[]\nSlow and steady\n")
    assert "ftjob-1 succeeded" in printed
