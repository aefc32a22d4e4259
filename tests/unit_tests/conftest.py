"""Skip tests whose extra is not installed."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.unit_tests.builders.openai_server import OpenAIServer

_LOCAL_COMMANDS = ("chat", "demo", "finetune", "models", "open", "serve")
_NEEDS = {
    "typer": ("cli", "docs/test_cli_page.py"),
    "trl": ("local_server", *(f"cli/test_{name}.py" for name in _LOCAL_COMMANDS)),
    "jinja2": ("report",),
    "sklearn": ("evaluation", "cli/test_evaluate.py", "page/test_guess.py"),
    "nicegui": ("page",),
}

collect_ignore = [
    path
    for module, paths in _NEEDS.items()
    if find_spec(module) is None
    for path in paths
]


@pytest.fixture(scope="session", autouse=True)
def _temporary_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Store and delete converted bases in a temporary cache only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """A fake OpenAI server."""
    with OpenAIServer().running() as running:
        yield running
