"""The traces that LangSmith would receive."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.callbacks import manager
from langchain_core.tracers import langchain
from langchain_core.tracers.base import BaseTracer
from langsmith import tracing_context


@contextmanager
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Enable tracing, and collect the inputs and outputs of runs as text."""
    sent: list[str] = []

    class Tracer(BaseTracer):
        def __init__(self, **_: Any) -> None:
            super().__init__()

        def copy_with_metadata_defaults(self, **_: Any) -> "Tracer":
            return self

        def _persist_run(self, run: Any) -> None:
            sent.append(f"{run.inputs} {run.outputs}")

    monkeypatch.setattr(langchain, "LangChainTracer", Tracer)
    # Older versions import it here.
    monkeypatch.setattr(manager, "LangChainTracer", Tracer, raising=False)
    with tracing_context(enabled=True):
        yield sent
