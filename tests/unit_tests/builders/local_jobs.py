"""Jobs that count steps, and an OpenAI-compatible server in place of the local one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from langchain_chatexports.finetuning import waiting
from langchain_chatexports.local_server import Queue
from langchain_chatexports.local_server.testing import train_steps
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer

# The package has functions with these names.
_TRAIN = import_module("langchain_chatexports.workflows.train")
_TALK = import_module("langchain_chatexports.workflows.talk")


@contextmanager
def quick_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """Run a server, set its key, and skip pauses between requests."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(waiting, "sleep", lambda *_: None)
    with OpenAIServer().running() as running:
        yield running


def count_steps(
    monkeypatch: pytest.MonkeyPatch, train: Callable[..., Path | None] = train_steps
) -> None:
    """Let jobs count steps instead of training."""
    queue = partial(Queue, train=train, threads=1)
    monkeypatch.setattr(_TRAIN, "Queue", queue)


def serve_locally(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, base_model: str = BASE_MODEL
) -> None:
    """Let another server answer in talks, and record the requests."""
    local_server = SimpleNamespace(
        base_model=base_model, base_url=server.base_url, api_key=KEY
    )
    monkeypatch.setattr(
        _TALK, "LocalServer", lambda *_, **__: nullcontext(local_server)
    )
