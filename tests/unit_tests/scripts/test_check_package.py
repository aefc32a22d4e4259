"""What is looked for in wheel and sdist, and that no extra is forgotten."""

from __future__ import annotations

import importlib.util
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from typing import Any


ROOT = Path(__file__).parents[3]
METADATA = "langchain_chatexports-0.1.0.dist-info/METADATA"


@pytest.fixture(scope="module")
def script() -> Any:
    path = ROOT / "scripts" / "check_package.py"
    spec = importlib.util.spec_from_file_location("check_package", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def problems(
    script: Any,
    place: Path,
    *,
    drop: str = "",
    add: str = "",
    readme: str = "[docs](https://example.org/docs)",
) -> list[str]:
    """Ask about archives that hold what they should, but for one thing."""
    wheel, sdist = place / "package.whl", place / "package.tar.gz"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in script.package_files() - {drop}:
            archive.writestr(name, b"")
        archive.writestr(METADATA, f"Name: package\n\n{readme}")
        if add:
            archive.writestr(add, b"")
    with tarfile.open(sdist, "w:gz") as archive:
        for name in set(script.IN_SDIST) - {drop}:
            archive.addfile(tarfile.TarInfo(f"package-0.1.0/{name}"))
    found: list[str] = script.problems_of(wheel, sdist)
    return found


def test_what_should_be_there_is_no_problem(script: Any, tmp_path: Path) -> None:
    assert problems(script, tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "langchain_chatexports/py.typed",
        "langchain_chatexports/report/templates/report.html",
        "langchain_chatexports/evaluation/templates/evaluation.html",
        "langchain_chatexports/samples/tortoise_and_hare.txt",
    ],
)
def test_what_the_wheel_lacks_is_named(script: Any, tmp_path: Path, name: str) -> None:
    assert f"{name} is not in the wheel" in problems(script, tmp_path, drop=name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("tests/conftest.py", "is in the wheel"),
        ("langchain_chatexports/chat.db", "may be chats"),
        ("langchain_chatexports/model.safetensors", "may be a model"),
    ],
)
def test_what_does_not_belong_there_is_named(
    script: Any, tmp_path: Path, name: str, why: str
) -> None:
    assert f"{name} {why}" in problems(script, tmp_path, add=name)


def test_what_the_sdist_lacks_is_named(script: Any, tmp_path: Path) -> None:
    found = problems(script, tmp_path, drop="SECURITY.md")
    assert found == ["SECURITY.md is not in the sdist"]


def test_a_link_that_leads_nowhere_on_pypi_is_named(
    script: Any, tmp_path: Path
) -> None:
    found = problems(script, tmp_path, readme="[docs](docs/index.md)")
    assert found == ["the readme links docs/index.md"]


def extras() -> dict[str, list[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = settings["project"]["optional-dependencies"]
    return found


def test_each_extra_is_tried_in_an_environment_of_its_own(script: Any) -> None:
    assert extras().keys() == script.SMOKE.keys()


def test_without_an_extra_each_part_is_asked_which_it_needs(script: Any) -> None:
    # `all-local` only names others.
    assert extras().keys() - script.WITHOUT.keys() == {"all-local"}


def test_ci_tries_each_extra() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    found = re.search(r"scripts/check_package\.py\n +(.*)\n", workflow)
    assert found is not None
    assert sorted(found[1].split()) == sorted(extras())


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_each_extra_is_named_where_installing_is_described(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    named = {word for part in blocks + cells for word in re.findall(r"[\w-]+", part)}
    assert not extras().keys() - named
