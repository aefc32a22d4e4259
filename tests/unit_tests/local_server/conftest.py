"""A tiny base, with its template in the session's cache, and its GGUF file."""

from pathlib import Path

import pytest

from langchain_chatexports.local_server.bases.template import read_template
from tests.unit_tests.builders.children import derive_templates_in_process
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import write_tiny_base


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        derive_templates_in_process(patch)
        read_template(base)
    return base


@pytest.fixture(scope="session")
def tiny_gguf(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return write_gguf(tiny_base, file)


@pytest.fixture
def templates_derived_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive without a child process, which `test_template.py` tests."""
    derive_templates_in_process(monkeypatch)
