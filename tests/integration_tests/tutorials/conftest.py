"""Servers with an alias for the tutorials' model, and a function to run tutorials."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from langchain_chatexports import LocalServer
from tests.integration_tests.tutorials import page

# Training on a hundred windows takes minutes on two idle cores, and more on busy ones.
_MAX_TUTORIAL_SECONDS = 3_600


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest,
    tiny_base: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalServer]:
    """A server with the default base, or with the tiny one if a test requests it."""
    base = tiny_base if getattr(request, "param", None) == "tiny" else None
    data_dir = tmp_path_factory.mktemp("server")
    aliases = {"gpt-3.5-turbo": "tiny" if base else "SmolLM2-135M-Instruct"}
    with LocalServer(base, data_dir=data_dir, aliases=aliases) as running:
        yield running


@pytest.fixture
def tutorial(
    server: LocalServer, tmp_path: Path
) -> Callable[[str], list[page.Outcome]]:
    def run(section: str) -> list[page.Outcome]:
        """Run a tutorial, and check the documented output of its blocks."""
        results = tmp_path / "results.json"
        working_directory = tmp_path / "working_directory"
        working_directory.mkdir()
        subprocess.run(  # noqa: S603 - our own script
            [sys.executable, page.__file__, section, str(results)],
            cwd=working_directory,
            env={
                **os.environ,
                "OPENAI_BASE_URL": server.base_url,
                "OPENAI_API_KEY": server.api_key,
            },
            timeout=_MAX_TUTORIAL_SECONDS,
            check=True,
        )
        outcomes = [page.Outcome(*row) for row in json.loads(results.read_bytes())]
        for block, outcome in zip(page.read_blocks(section), outcomes, strict=True):
            if block.output is not None:
                assert outcome.shown.strip() == block.output.strip()
        assert outcomes[-4].printed.startswith(f"ft:{server.base_model}:")
        # Random weights may end an answer before its first word.
        assert outcomes[-1].printed.strip() or server.base_model == "tiny"
        return outcomes

    return run
