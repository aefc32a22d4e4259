"""The core install stays light."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_core_needs_only_langchain_openai_and_msgspec() -> None:
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    names = {Requirement(line).name for line in project["dependencies"]}
    assert names == {
        "langchain-core",
        "langchain-openai",
        "openai",
        "msgspec",
        "typing-extensions",
    }
