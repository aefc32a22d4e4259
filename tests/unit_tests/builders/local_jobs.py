"""An OpenAI-compatible server in place of the local one."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from langchain_chatexports.finetuning import waiting
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer
from tests.unit_tests.builders.tuned_models import write_model

# The package has a function with this name.
_TRAIN = import_module("langchain_chatexports.workflows.train")


@contextmanager
def quick_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """Run a server, set its key, and skip pauses between requests."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(waiting, "sleep", lambda *_: None)
    with OpenAIServer().running() as running:
        yield running


def serve_locally(
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    data_dir: Path | None = None,
    base_model: str = BASE_MODEL,
) -> SimpleNamespace:
    """Replace the local server; jobs create a model in `data_dir`."""
    if data_dir is not None:
        name = write_model(data_dir, "1" * 12)
        server.final = {"fine_tuned_model": name}
        server.models[name] = None
    local_server = SimpleNamespace(
        server=server,
        base_model=base_model,
        base_url=server.base_url,
        api_key=KEY,
        data_dir=data_dir,
        is_running=True,
        is_shared=False,
    )
    monkeypatch.setattr(
        _TRAIN, "LocalServer", lambda *_, **__: nullcontext(local_server)
    )
    return local_server
