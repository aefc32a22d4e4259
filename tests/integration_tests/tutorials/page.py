"""Run the code blocks of docs/tutorials.md in one namespace, as a notebook would.

Usage in a separate process: `python page.py SECTION RESULTS.json`.
"""

import ast
import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).parents[3] / "docs" / "tutorials.md"

_CODE_AND_OUTPUT = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```output\n(?P<output>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    code: str
    output: str | None
    """The documented output; `None` if each run differs."""


class Outcome(NamedTuple):
    code: str
    printed: str
    value: Any
    """The value of the last line, if it is an expression, in JSON types."""

    @property
    def shown(self) -> str:
        return self.printed if self.value is None else f"{self.printed}{self.value}"


def read_blocks(section: str) -> list[Block]:
    page = PAGE.read_text(encoding="utf-8")
    _, _, text = page.partition(f"\n## {section}\n")
    text, _, _ = text.partition("\n## ")
    return [
        Block(found["code"], found["output"])
        for found in _CODE_AND_OUTPUT.finditer(text)
    ]


def run_blocks(blocks: list[Block]) -> list[Outcome]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    return [_run(block.code, namespace) for block in blocks]


def _run(code: str, namespace: dict[str, Any]) -> Outcome:
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value = None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<block>", "exec"), namespace)  # noqa: S102 - our own page
        if isinstance(last, ast.Expr):
            expression = compile(ast.Expression(last.value), "<block>", "eval")
            value = eval(expression, namespace)  # noqa: S307 - our own page
    return Outcome(
        code, printed.getvalue(), json.loads(json.dumps(value, default=_plain))
    )


def _plain(message: Any) -> dict[str, Any]:
    return {
        "type": message.type,
        "content": message.content,
        **message.additional_kwargs,
    }


if __name__ == "__main__":
    outcomes = run_blocks(read_blocks(sys.argv[1]))
    Path(sys.argv[2]).write_text(json.dumps(outcomes), encoding="utf-8")
