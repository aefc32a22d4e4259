"""The README's examples print the output that it shows."""

import re
import tomllib
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_readme_examples_print_their_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    examples = [i for i, (language, _) in enumerate(blocks) if language == "python"]
    assert examples
    names: dict[str, object] = {}
    for index in examples:
        exec(blocks[index][1], names)  # noqa: S102 - our own README
        language, expected = blocks[index + 1]
        assert language == "text"
        assert capsys.readouterr().out == expected


def test_pictures_on_pypi_are_raw_files() -> None:
    """PyPI cannot show a picture from a page of GitHub."""
    text = (README.parent / "pyproject.toml").read_text(encoding="utf-8")
    hook = tomllib.loads(text)["tool"]["hatch"]["metadata"]["hooks"]
    page = README.read_text(encoding="utf-8")
    for rule in hook["fancy-pypi-readme"]["substitutions"]:
        page = re.sub(rule["pattern"], rule["replacement"], page)
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page)
    assert pictures
    assert all(url.startswith("https://raw.githubuser") for url in pictures)
    assert not re.findall(r"\]\((?!https:)", page)


def test_readme_links_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert links
    missing = [link for link in links if not (README.parent / link).exists()]
    assert not missing
