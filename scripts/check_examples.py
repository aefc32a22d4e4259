"""Check the types of README's and the pages' examples with mypy (`make lint`).

Each page becomes a module whose lines have the page's numbers. An example that needs a
newer release than the installed one is marked `no-types`, and does not run either.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mypy import api

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(
    r"^```python(?!.* no-types)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_NOT_CHECKED = {"tutorials.md"}  # LangChain's own cells, changed as little as possible.


def extract_examples(page: str) -> str:
    """Return the Python examples of a page, with blank lines for its text."""
    lines: list[str] = []
    for block in _BLOCK.finditer(page):
        lines += [""] * (page.count("\n", 0, block.start(1)) - len(lines))
        lines += block[1].splitlines()
    return "\n".join(lines)


def check_examples(pages: list[Path]) -> list[str]:
    """Return mypy's complaints about the examples of pages."""
    with TemporaryDirectory() as folder:
        for page in pages:
            code = extract_examples(page.read_text(encoding="utf-8"))
            name = "_".join([*page.relative_to(ROOT).with_suffix("").parts, "md.py"])
            (Path(folder) / name.lower()).write_text(code, encoding="utf-8")
        # A page may reuse a name. The package is checked without these options.
        options = ["--allow-redefinition-new", "--local-partial-types"]
        config = ["--config-file", str(ROOT / "pyproject.toml")]
        report, errors, status = api.run([*config, *options, folder])
    if errors or status > 1:
        return [report, errors]
    lines = report.replace(f"{folder}/", "").splitlines()
    return [line for line in lines if "_md.py:" in line]


def main() -> int:
    """Print mypy's complaints about the examples."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    complaints = check_examples([p for p in pages if p.name not in _NOT_CHECKED])
    sys.stdout.writelines(f"{line}\n" for line in complaints)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
