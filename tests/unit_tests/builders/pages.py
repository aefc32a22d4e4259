"""The code blocks of a documentation page, and their documented output."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
_FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)


class Block(NamedTuple):
    """A code block, and the output block that follows it, if any."""

    code: str
    output: str | None


def read_page(name: str, *, kinds: tuple[str, ...] = ("python",)) -> list[Block]:
    """Read the code blocks of a page with certain info strings.

    `python train` is for blocks that train a model, and `python no-run` for blocks that
    tests cannot run.
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
    """Run a page's code blocks in one namespace, and return their number."""
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = read_page(name, kinds=kinds)
    for block in blocks:
        exec(compile(block.code, f"docs/{name}", "exec"), names)  # noqa: S102 - ours
        printed = capsys.readouterr().out
        if block.output is not None:
            assert printed == block.output, block.code
    return len(blocks)
