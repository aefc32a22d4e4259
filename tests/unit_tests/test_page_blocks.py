"""The blocks of the pages on loaders, steps and datasets print what these say."""

from pathlib import Path

import pytest

from tests.unit_tests.builders.pages import run_page

# Pages, how many blocks run at the least, and the package that some of them need.
PAGES = (
    ("imessage.md", 5, None),
    ("facebook_messenger.md", 5, None),
    ("table.md", 4, None),
    ("steps.md", 8, None),
    ("privacy.md", 3, None),
    ("examples.md", 6, None),
    ("api/report.md", 1, "jinja2"),
    ("evaluation.md", 1, None),
)


@pytest.mark.parametrize(("page", "at_least", "extra"), PAGES)
def test_blocks_print_what_the_page_says(
    page: str,
    at_least: int,
    extra: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if extra:
        pytest.importorskip(extra)
    monkeypatch.chdir(tmp_path)
    assert run_page(page, capsys) >= at_least
