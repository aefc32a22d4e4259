"""The code of a documentation page, and what the page says that it prints."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
_FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)


class Block(NamedTuple):
    """A block of Python, and the block `output` behind it, if there is one."""

    code: str
    output: str | None


def read_page(name: str, *, kinds: tuple[str, ...] = ("python",)) -> list[Block]:
    """Read the Python of a page.

    Blocks are marked `python`, those that train a model `python train`, and those that
    cannot run here `python no-run`; the first alone are read unless told otherwise.
    """
    fences = _FENCE.findall((DOCS / name).read_text(encoding="utf-8"))
    blocks = []
    for index, (info, code) in enumerate(fences):
        if info in kinds:
            after, shown = fences[index + 1] if index + 1 < len(fences) else ("", "")
            blocks.append(Block(code, shown if after == "output" else None))
    return blocks


def run_page(
    name: str,
    capsys: pytest.CaptureFixture[str],
    *,
    kinds: tuple[str, ...] = ("python",),
) -> int:
    """Run a page's blocks in one namespace, and return how many there are."""
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = read_page(name, kinds=kinds)
    for block in blocks:
        exec(compile(block.code, f"docs/{name}", "exec"), names)  # noqa: S102 - ours
        printed = capsys.readouterr().out
        if block.output is not None:
            assert printed == block.output, block.code
    return len(blocks)
