"""Words to avoid are found where they stand, and nowhere else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from typing import Any


SCRIPT = Path(__file__).parents[3] / "scripts" / "check_words.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("check_words", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ('def f():\n    """Give the senders."""', "Give"),
        ('def f():\n    """Tells whether it is there."""', "Tells"),
        ("_LONGEST_LINE = 80", "_LONGEST_LINE"),
        ("MOST_MESSAGES = 80", "MOST_MESSAGES"),
        ("x = 1  # Else nobody would see it.", "Else nobody"),
        ("licence_path = 1", "licence_path"),
        ("# The seed is where\n# chance begins.", "where chance begins"),
        ('say("It is a model that shows "\n    "the way")', "shows the way"),
        ('say("It is a model that shows"\n    f" the way")', "shows the way"),
        ('"""It is labelled."""', "labelled"),
        ('"""Behaviour."""', "Behaviour"),
    ],
)
def test_a_word_to_avoid_is_found(script: Any, code: str, word: str) -> None:
    (finding,) = script.find_words(Path("a.py"), code)
    assert repr(word) in str(finding)


@pytest.mark.parametrize(
    "code",
    [
        '"""Return what the caller gives."""',
        "# They give and tell.",
        "at_least = most_labels = MAX_LINES",
        'text = "Give me a break"',
        "# The job is cancelled. It is no longer there.",
        "behind = recognized = organism",
    ],
)
def test_other_words_are_left_alone(script: Any, code: str) -> None:
    assert script.find_words(Path("a.py"), code) == []


def test_a_finding_is_a_line_as_other_linters_print_it(script: Any) -> None:
    (finding,) = script.find_words(Path("docs/a.md"), "One.\n\nIts licence.\n")
    assert str(finding) == "docs/a.md:3: 'licence': write license"


def test_names_of_code_are_not_looked_for_in_pages(script: Any) -> None:
    assert script.find_words(Path("a.md"), "`_LONGEST_LINE`") == []


def test_a_module_that_nobody_would_find_by_its_name_is_found(script: Any) -> None:
    (finding,) = script.find_words(Path("cli/manners.py"), "")
    assert finding.instead == "_exit"


def test_a_run_ends_with_1_and_the_findings(
    script: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("Nothing here.")
    assert script.main([]) == 0
    (tmp_path / "README.md").write_text("For ever.")
    assert script.main([]) == 1
    assert capsys.readouterr().out == "README.md:1: 'For ever': write forever\n"


def test_every_source_is_read(script: Any) -> None:
    assert all(any(script.ROOT.glob(glob)) for glob in script.SOURCES)
