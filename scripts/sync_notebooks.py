"""Bring the tutorials' notebooks into step with docs/tutorials.md, and run them.

`python scripts/sync_notebooks.py` puts the page's code into the code cells of each
notebook. With `--run` it then runs the English ones, which trains on this machine, and
stores what they show; the others keep their texts and have no outputs.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import nbformat

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTEBOOKS = DOCS / "notebooks"
SECTIONS = {"imessage": "iMessage", "facebook_messenger": "Facebook Messenger"}
MAX_CELL_SECONDS = 3_600
_CODE = re.compile(r"^```python(?: no-run)?\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
# A status line that is written over itself, and sizes of downloads, are no results.
_NOISE = re.compile(r"^.*\r", re.MULTILINE)


def code_of(tutorial: str) -> list[str]:
    """Return the code cells of a tutorial: the page's set-up and its section."""
    page = (DOCS / "tutorials.md").read_text(encoding="utf-8")
    sections = {
        part.partition("\n")[0]: _CODE.findall(part) for part in page.split("\n## ")
    }
    return [*sections["Set-up"], *sections[SECTIONS[tutorial]]]


def sync(path: Path) -> None:
    """Put the page's code into a notebook, and take out outputs of other code."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code = code_of(path.name.partition(".")[0])
    for cell, source in zip(cells, code, strict=True):
        if cell.source != source:
            cell.source, cell.outputs, cell.execution_count = source, [], None
    nbformat.write(notebook, path)


def run(path: Path) -> None:
    """Run a notebook in an empty folder, and store what it shows."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=MAX_CELL_SECONDS,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = list(filter(None, map(_kept, cell.outputs)))
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


def _kept(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    if output.output_type != "stream":
        return output
    if output.name == "stderr":
        return None
    output.text = _NOISE.sub("", output.text)
    return output if output.text else None


if __name__ == "__main__":
    for notebook_path in sorted(NOTEBOOKS.glob("*.ipynb")):
        sync(notebook_path)
        if "--run" in sys.argv[1:] and notebook_path.name.count(".") == 1:
            run(notebook_path)
