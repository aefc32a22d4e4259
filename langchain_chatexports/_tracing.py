"""What callbacks get of a run: counts, or what it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.runnables.config import ensure_config

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["traces_outputs"]

_SWITCH = "trace_outputs"


def traces_outputs(config: RunnableConfig | None) -> bool:
    """Return whether callbacks get what a run returns, and not only counts.

    Traces can leave the machine, so this is off unless
    `{"configurable": {"trace_outputs": True}}` in the run's config says otherwise.

    Args:
        config: The run's config.
    """
    return bool(ensure_config(config).get("configurable", {}).get(_SWITCH))
