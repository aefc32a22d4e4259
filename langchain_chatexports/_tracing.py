"""Control the outputs of runs in callbacks and traces."""

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

_SWITCH = "trace_outputs"


def traces_outputs(config: RunnableConfig | None) -> bool:
    """Return whether callbacks get the output of a run instead of counts.

    Traces may leave the machine, so the config must allow it:
    `{"configurable": {"trace_outputs": True}}`.
    """
    return bool(ensure_config(config).get("configurable", {}).get(_SWITCH))


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
