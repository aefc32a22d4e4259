"""Runs that LangSmith does not record."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def untraced() -> Iterator[None]:
    """Disable LangSmith for runs inside a `with`, whatever the environment says.

    Callbacks in a run's config are still called.
    """
    # A slow import, needed for chats only.
    from langchain_core.tracers.context import tracing_v2_callback_var
    from langsmith import tracing_context

    token = tracing_v2_callback_var.set(None)
    try:
        with tracing_context(enabled=False):
            yield
    finally:
        tracing_v2_callback_var.reset(token)
