"""Build wheel and sdist, check their contents, and test the wheel in new environments.

`python scripts/check_package.py [EXTRA…]` always tests the core alone, and then the
wheel with each given extra, each in a new environment. Needs build, twine and
check-wheel-contents (`make package` installs them).
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
PACKAGE = "langchain_chatexports"
NOT_SHIPPED = {
    # Private chats.
    **dict.fromkeys((".db", ".db-wal", ".db-shm", ".zip", ".jsonl"), "may be chats"),
    # Trained models and downloaded bases.
    **dict.fromkeys((".safetensors", ".gguf", ".pt", ".bin"), "may be a model"),
}
BARE_LINK = re.compile(r"\]\((?!https:)([^)]+)\)")
CORE_SMOKE = """
import sys
import tempfile
from pathlib import Path
import langchain_chatexports as package
from langchain_chatexports.samples import write_imessage, write_messenger
folder = Path(tempfile.mkdtemp())
steps = package.MergeChatRuns() | package.MapAIMessages(sender="Tortoise")
loader = package.IMessageChatLoader(write_imessage(folder / "chat.db"))
assert len(list(package.to_training_examples(loader | steps))) == 10
export = write_messenger(folder / "hogwarts")
threads = package.FolderFacebookMessengerChatLoader(export)
assert len((threads | package.MapAIMessages()).load()) == 9
heavy = {"openai", "langchain_openai", "tiktoken", "numpy", "torch", "typer", "fastapi"}
retriever = package.ChatExportRetriever.from_sessions(loader)
assert "nine" in retriever.invoke("race tomorrow")[0].page_content
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert package.ChatFineTuner(model="m", base_url="http://127.0.0.1:1/v1", api_key="k")
print(package.__version__)
"""
# Code that raises an error naming the extra if the extra is not installed.
WITHOUT = {
    "cli": "from langchain_chatexports.cli import main; main()",
    "evaluate": "from langchain_chatexports.evaluation import check_extra as check\n"
    "check()",
    "local": "package.LocalServer().start()",
    "mcp": "from langchain_chatexports import retrieval\n"
    "retrieval.chat_mcp_server(retrieval.ChatIndex())",
    "page": "from langchain_chatexports.page.server import check_extra as check\n"
    "check()",
    "ray": "from langchain_chatexports.cluster import read_exports\n"
    "read_exports('chat.db')",
    "redact": "package.Redact.for_export(loader)",
    "table": "package.TableChatLoader(parquet, columns=columns).load()",
    "tests": "import langchain_chatexports.standard_tests",
}
CORE_WITHOUT = """
from pathlib import Path
import tempfile
import langchain_chatexports as package
import langchain_chatexports.datasets
from langchain_chatexports.samples import write_imessage
create_app()
folder = Path(tempfile.mkdtemp())
loader = package.IMessageChatLoader(write_imessage(folder / "chat.db"))
parquet = folder / "desk.parquet"
parquet.write_bytes(b"PAR1" * 4)
columns = {name: name for name in ("conversation", "sender", "time", "text")}
for extra, code in WITHOUT.items():
    try:
        exec(code)
    except (ImportError, SystemExit) as error:
        assert f"langchain-chatexports[{extra}]" in str(error), (extra, error)
    else:
        raise AssertionError(extra)
"""
SMOKE = {
    "all-local": "import duckdb, torch, typer\n"
    "from langchain_chatexports.evaluation import check_extra\n"
    "check_extra()",
    "cli": """
import tempfile
from pathlib import Path
from langchain_chatexports.cli.app import create_app
from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.report import build_report, write_report
from langchain_chatexports.samples import write_imessage
create_app()
folder = Path(tempfile.mkdtemp())
loader = IMessageChatLoader(write_imessage(folder / "chat.db"))
write_report(build_report(loader), folder / "report.html")
assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
""",
    "evaluate": "from langchain_chatexports.evaluation import check_extra\n"
    "check_extra()",
    "mcp": "from langchain_chatexports import retrieval\n"
    "retrieval.chat_mcp_server(retrieval.ChatIndex())",
    "local": "import torch, peft, fastapi, httpx, xllamacpp\n"
    "from langchain_chatexports.local_server.http import app\n"
    "from langchain_chatexports.local_server.training import trainer",
    "page": "from langchain_chatexports.page import screens, server\n"
    "server.check_extra()",
    "ray": "import ray.data\nfrom langchain_chatexports.cluster import JsonLines",
    "redact": "from langchain_chatexports.redaction.phones import check_extra\n"
    "check_extra()",
    "table": "import duckdb",
    "tests": "from langchain_chatexports.standard_tests import ChatLoaderUnitTests",
}


def run(*command: object) -> None:
    """Run a command; exit if it fails."""
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)  # noqa: S603


def build() -> tuple[Path, Path]:
    """Build into an empty folder, and return wheel and sdist."""
    for old in DIST.glob("*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", DIST)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    run(sys.executable, "-m", "check_wheel_contents", wheel)
    return wheel, sdist


def find_problems(wheel: Path, sdist: Path) -> list[str]:
    """Return what is missing from the archives, and what should not be in them."""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    problems = [
        f"{name} is not in the sdist" for name in IN_SDIST if name not in in_sdist
    ]
    expected = package_files() | {n for n in in_wheel if ".dist-info/" in n}
    problems += [f"{n} is not in the wheel" for n in sorted(expected - in_wheel)]
    problems += [f"{n} is in the wheel" for n in sorted(in_wheel - expected)]
    # PyPI shows the readme without the files it links to.
    readme = _metadata(wheel)
    problems += [f"the readme links {n}" for n in BARE_LINK.findall(readme)]
    for name in sorted(in_wheel | in_sdist):
        if (reason := NOT_SHIPPED.get(Path(name).suffix)) is not None:
            problems.append(f"{name} {reason}")
    return problems


def package_files() -> set[str]:
    """Return the files that a wheel must contain: code, templates, `py.typed`."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        return archive.read(name).decode("utf-8")


def try_wheel(wheel: Path, extra: str | None) -> None:
    """Install the wheel into a new environment, and use it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, f"{wheel}[{extra}]" if extra else wheel)
        run(python, "-m", "pip", "check")
        if extra is None:
            run(python, "-I", "-c", CORE_SMOKE)
            run(python, "-I", "-c", f"WITHOUT = {WITHOUT!r}\n{CORE_WITHOUT}")
        else:
            run(python, "-I", "-c", SMOKE[extra])


def main(extras: list[str]) -> int:
    """Build and check the package; return 0 if there are no problems."""
    wheel, sdist = build()
    problems = find_problems(wheel, sdist)
    for problem in problems:
        print(problem)
    if problems:
        return 1
    for extra in (None, *extras):
        try_wheel(wheel, extra)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
