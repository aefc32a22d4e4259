"""Check that `pyproject.toml` and `_version.py` agree."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def version_in(path: Path, pattern: str) -> str:
    """Find the version in a file."""
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        sys.exit(f"No version in {path.name}.")
    return found.group(1)


def main() -> None:
    """Compare both."""
    project = version_in(ROOT / "pyproject.toml", r'^version = "([^"]+)"')
    package = version_in(
        ROOT / "langchain_chatexports" / "_version.py", r'^__version__ = "([^"]+)"'
    )
    if project != package:
        sys.exit(f"pyproject.toml says {project}, _version.py says {package}.")
    print(f"Both say {project}.")


if __name__ == "__main__":
    main()
