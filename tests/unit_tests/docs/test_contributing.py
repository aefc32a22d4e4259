"""CONTRIBUTING.md's tree is the package's, and its table names files that exist."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from tests.unit_tests.builders.pages import DOCS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = DOCS.parent
PACKAGE = "langchain_chatexports"
CHANGES = 12
_TREE = re.compile(rf"^```text\n{PACKAGE}/\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^((?: {4})+)(\w+)(/|\.py) +\S")
_FILE = re.compile(r"`([\w/]+\.\w+)`")


def contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def modules_in_the_tree() -> list[str]:
    """Read the tree's entries as dotted names, from top to bottom."""
    (tree,) = _TREE.findall(contributing())
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


def modules_of_the_package() -> set[str]:
    """List all packages, and the modules at the top."""
    root = ROOT / PACKAGE
    folders = {path.parent for path in root.rglob("__init__.py")} - {root}
    modules = {path.with_suffix("") for path in root.glob("*.py")} - {root / "__init__"}
    return {".".join(path.relative_to(ROOT).parts) for path in folders | modules}


def layer_contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    return [contract for contract in contracts if contract["type"] == "layers"]


def test_the_tree_has_every_package_and_top_module() -> None:
    missing = modules_of_the_package() - set(modules_in_the_tree())
    assert not missing, "add these to the tree of CONTRIBUTING.md"


def test_the_tree_has_nothing_else() -> None:
    gone = set(modules_in_the_tree()) - modules_of_the_package()
    assert not gone, "take these out of the tree of CONTRIBUTING.md"


def test_the_tree_names_nothing_twice() -> None:
    names = modules_in_the_tree()
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "contract", layer_contracts(), ids=lambda c: c["containers"][0]
)
def test_the_tree_is_in_the_order_of_the_layers(contract: dict[str, Any]) -> None:
    (container,) = contract["containers"]
    level = {
        f"{container}.{name}": number
        for number, layer in enumerate(contract["layers"])
        for name in re.split(r" [|:] ", layer)
    }
    levels = [level[name] for name in modules_in_the_tree() if name in level]
    assert levels == sorted(levels), "a room stands above one that imports it"


def test_the_library_is_below_the_line() -> None:
    """Each application is an extra; the library is the core install."""
    (tree,) = _TREE.findall(contributing())
    above, _, below = tree.partition("    ----")
    assert "    local_server/" in above
    assert "    finetuning/" in below


def changes() -> list[tuple[str, str]]:
    section = contributing().partition("## Where do I change")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section, re.MULTILINE)
    return [row for row in rows if row[0] != "To …"]


def test_the_table_answers_every_everyday_change() -> None:
    assert len(changes()) == CHANGES


@pytest.mark.parametrize(("change", "answer"), changes())
def test_the_file_that_a_change_needs_is_there(change: str, answer: str) -> None:
    named = _FILE.findall(answer)
    assert named, f"no file is named for: {change}"
    gone = [path for path in named if not (ROOT / path).is_file()]
    assert not gone, f"CONTRIBUTING.md sends readers who want to {change} to these"
