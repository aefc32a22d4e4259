"""Disable LangSmith tracing."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def disable_tracing() -> Iterator[None]:
    """Disable LangSmith in a `with` block, even if the environment enables it.

    Callbacks in a run's config are still called.
    """
    # Slow to import, and only needed for chats.
    from langchain_core.tracers.context import tracing_v2_callback_var
    from langsmith import tracing_context

    token = tracing_v2_callback_var.set(None)
    try:
        with tracing_context(enabled=False):
            yield
    finally:
        tracing_v2_callback_var.reset(token)
