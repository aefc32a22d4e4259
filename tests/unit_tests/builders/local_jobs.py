"""A server of OpenAI's protocol in place of this machine's local server."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from langchain_chatexports.finetuning.connection import Clock
from tests.unit_tests.builders.kept_models import keep_model
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer

# The package has a function of that name.
_TRAIN = import_module("langchain_chatexports.workflows.train")


@contextmanager
def quick_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """Run a server that is asked without a pause, with its key."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(Clock, "sleep", lambda *_: None)
    with OpenAIServer().running() as running:
        yield running


def serve_locally(
    server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    data_dir: Path | None = None,
    base_model: str = BASE_MODEL,
) -> SimpleNamespace:
    """Let a server stand for the local one; its jobs make a model in `data_dir`."""
    if data_dir is not None:
        name = keep_model(data_dir, "1" * 12)
        server.final = {"fine_tuned_model": name}
        server.models[name] = None
    where = SimpleNamespace(
        base_model=base_model,
        base_url=server.base_url,
        api_key=KEY,
        data_dir=data_dir,
        is_running=True,
        is_shared=False,
    )
    monkeypatch.setattr(_TRAIN, "LocalServer", lambda *_, **__: nullcontext(where))
    return where
