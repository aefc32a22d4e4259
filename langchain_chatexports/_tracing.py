"""What callbacks and traces get of a run: counts, what it returns, or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

_SWITCH = "trace_outputs"


def traces_outputs(config: RunnableConfig | None) -> bool:
    """Return whether callbacks get what a run returns, and not only counts.

    Traces can leave the machine, so this is off unless
    `{"configurable": {"trace_outputs": True}}` in the run's config says otherwise.
    """
    return bool(ensure_config(config).get("configurable", {}).get(_SWITCH))


@contextmanager
def untraced() -> Iterator[None]:
    """Keep runs that begin in it from LangSmith, whatever the environment says.

    Callbacks that a run's config names are called nevertheless.
    """
    # Not at the top: it takes time that only chats need.
    from langchain_core.tracers.context import tracing_v2_callback_var
    from langsmith import tracing_context

    token = tracing_v2_callback_var.set(None)
    try:
        with tracing_context(enabled=False):
            yield
    finally:
        tracing_v2_callback_var.reset(token)
