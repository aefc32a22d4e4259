"""Check that `pyproject.toml` and `_version.py` agree."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def find_version(path: Path, pattern: str) -> str:
    """Find the version in a file."""
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        sys.exit(f"No version in {path.name}.")
    return found.group(1)


def main() -> None:
    """Compare the versions."""
    project = find_version(ROOT / "pyproject.toml", r'^version = "([^"]+)"')
    package = find_version(
        ROOT / "langchain_chatexports" / "_version.py", r'^__version__ = "([^"]+)"'
    )
    if project != package:
        sys.exit(f"pyproject.toml has version {project}, _version.py has {package}.")
    print(f"Both have version {project}.")


if __name__ == "__main__":
    main()
