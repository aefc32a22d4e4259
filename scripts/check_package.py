"""Build wheel and sdist, look into them, and use the wheel in an empty environment.

`python scripts/check_package.py [EXTRA…]`: the core alone is always tried; then the
wheel with each extra that is named, in an environment of its own. Needs build, twine
and check-wheel-contents (`make package` installs them).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
IN_SDIST = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "docs/index.md",
    "docs/notebooks/imessage.ipynb",
    "langchain_chatexports/py.typed",
    "pyproject.toml",
    "requirements-demo.txt",
    "scripts/check_machine.py",
    "tests/conftest.py",
    "tests/unit_tests/test_imports.py",
    "zensical.toml",
]
NOT_IN_WHEEL = ("tests/", "docs/", "scripts/", "benchmarks/")
IN_WHEEL = ["langchain_chatexports/py.typed", "langchain_chatexports/__init__.py"]
# Somebody's chats.
PRIVATE = (".db", ".db-wal", ".db-shm", ".zip", ".jsonl")
BARE_LINK = re.compile(r"\]\((?!https:)([^)]+)\)")
CORE_SMOKE = """
import sys
import tempfile
from pathlib import Path
import langchain_chatexports as package
from langchain_chatexports.samples import write_imessage, write_messenger
place = Path(tempfile.mkdtemp())
steps = package.MergeChatRuns() | package.MapAIMessages(sender="Tortoise")
loader = package.IMessageChatLoader(write_imessage(place / "chat.db"))
assert len(list(package.to_training_examples(loader | steps))) == 10
threads = package.FolderFacebookMessengerChatLoader(write_messenger(place / "hogwarts"))
assert len((threads | package.MapAIMessages()).load()) == 9
heavy = {"openai", "langchain_openai", "tiktoken", "numpy", "torch", "typer", "fastapi"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert package.ChatFineTuner(model="m", base_url="http://127.0.0.1:1/v1", api_key="k")
print(package.__version__)
"""
SMOKE = {
    "cli": "from langchain_chatexports.cli.app import app; assert app",
    "community": "import langchain_community.chat_loaders",
    "datasets": "import datasets, pyarrow",
    "dedup": "import rensa",
    "local": "import torch, trl, peft, fastapi\n"
    "from langchain_chatexports.local_server import app, training",
    "parquet": "import pyarrow.parquet",
    "pii": "import presidio_analyzer",
    "qlora": "import bitsandbytes",
    "tests": "from langchain_chatexports.standard_tests import ChatLoaderUnitTests",
}


def run(*command: object) -> None:
    """Run a command; its failure ends this script."""
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)  # noqa: S603


def build() -> tuple[Path, Path]:
    """Build into an empty folder; give wheel and sdist."""
    for old in DIST.glob("*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", DIST)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    run(sys.executable, "-m", "check_wheel_contents", wheel)
    return wheel, sdist


def problems_of(wheel: Path, sdist: Path) -> list[str]:
    """Say what is missing in the archives, and what should not be there."""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    problems = [
        f"{name} is not in the sdist" for name in IN_SDIST if name not in in_sdist
    ]
    problems += [
        f"{name} is not in the wheel" for name in IN_WHEEL if name not in in_wheel
    ]
    problems += [f"{n} is in the wheel" for n in in_wheel if n.startswith(NOT_IN_WHEEL)]
    # PyPI shows the readme without the files beside it.
    readme = _metadata(wheel)
    problems += [f"the readme links {n}" for n in BARE_LINK.findall(readme)]
    problems += [
        f"{n} may be chats" for n in in_wheel | in_sdist if n.endswith(PRIVATE)
    ]
    return problems


def _metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        return archive.read(name).decode("utf-8")


def try_wheel(wheel: Path, extra: str | None) -> None:
    """Install the wheel into an empty environment, and use it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, f"{wheel}[{extra}]" if extra else wheel)
        run(python, "-m", "pip", "check")
        run(python, "-I", "-c", SMOKE[extra] if extra else CORE_SMOKE)


def main(extras: list[str]) -> int:
    """Build, look, and try; 0 if all is well."""
    wheel, sdist = build()
    problems = problems_of(wheel, sdist)
    for problem in problems:
        print(problem)
    if problems:
        return 1
    for extra in (None, *extras):
        try_wheel(wheel, extra)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
