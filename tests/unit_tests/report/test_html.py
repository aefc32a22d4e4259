"""The frame of every page: one file, all escaped, nothing from elsewhere."""

import sys
from pathlib import Path
from typing import Any

import jinja2
import pytest

from langchain_chatexports.report.html import render_page


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Render a template of another package, as the evaluation's page is."""
    folder = tmp_path / "other_pages" / "templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def render(content: str, **values: object) -> str:
        text = (
            '{% extends "base.html" %}'
            '{% from "parts.html" import chart, table, tiles %}'
            "{% block title %}Title{% endblock %}"
            f"{{% block content %}}{content}{{% endblock %}}"
        )
        (folder / "page.html").write_text(text, encoding="utf-8")
        return render_page("page.html", package="other_pages", **values)

    yield render
    sys.modules.pop("other_pages", None)


def test_values_are_escaped(page: Any) -> None:
    html = page("{{ tiles([(name, name)]) }}", name="<script>alert(1)</script>")
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 2


def test_a_missing_value_is_an_error(page: Any) -> None:
    with pytest.raises(jinja2.UndefinedError):
        page("{{ nothing }}")
