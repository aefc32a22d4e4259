"""The tree in CONTRIBUTING.md matches the package, and the files in its table exist."""

import re

from tests.unit_tests.builders.pages import DOCS

ROOT = DOCS.parent
PACKAGE = "langchain_chatexports"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_TREE = re.compile(rf"^```text\n{PACKAGE}/\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^((?: {4})+)(\w+)(/|\.py) +\S")
_FILE = re.compile(r"`([\w/]+\.\w+)`")


def modules_in_the_tree() -> list[str]:
    """Read the tree's entries as dotted names, from top to bottom."""
    (tree,) = _TREE.findall(TEXT)
    names: list[str] = []
    parents = [PACKAGE]
    for line in tree.splitlines():
        if line.strip().startswith("--"):
            continue
        entry = _ENTRY.match(line)
        assert entry, f"not an entry with a description: {line!r}"
        indent, name, _ = entry.groups()
        parents = [*parents[: len(indent) // 4], name]
        names.append(".".join(parents))
    return names


def test_tree_lists_each_package_and_module_once() -> None:
    root = ROOT / PACKAGE
    folders = {path.parent for path in root.rglob("__init__.py")} - {root}
    modules = {path.with_suffix("") for path in root.glob("*.py")} - {root / "__init__"}
    expected = [".".join(path.relative_to(ROOT).parts) for path in folders | modules]
    assert sorted(modules_in_the_tree()) == sorted(expected)


def test_files_to_open_exist() -> None:
    section = TEXT.partition("## Where do I change")[2].partition("\n## ")[0]
    answers = re.findall(r"^\| (?!To …).+? \| (.+) \|$", section, re.MULTILINE)
    named = [_FILE.findall(answer) for answer in answers]
    assert len(named) == 12
    assert all(named)
    missing = [path for paths in named for path in paths if not (ROOT / path).is_file()]
    assert not missing
