"""`with_retry` for what must not be paid for twice, or be shown in a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.retry import RunnableRetry

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

__all__ = ["TunerRetry"]


class TunerRetry(RunnableRetry[Any, Any]):  # type: ignore[no-redef] # a field `kwargs`
    """Repeats a tuner; the attempts are in the trace, the examples are not.

    LangChain's own makes a run around the attempts that records its input.
    """

    def invoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Fine-tune, and again if need be."""
        for attempt in self._sync_retrying(reraise=True):
            with attempt:
                return RunnableBindingBase.invoke(self, input, config, **kwargs)
        return None  # Not reached: the last attempt returns or raises.

    async def ainvoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Any:
        """Fine-tune, and again if need be."""
        async for attempt in self._async_retrying(reraise=True):
            with attempt:
                return await RunnableBindingBase.ainvoke(self, input, config, **kwargs)
        return None  # Not reached: the last attempt returns or raises.

    def batch(self, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Do each input by itself."""
        return Runnable.batch(self, inputs, *args, **kwargs)

    async def abatch(self, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Do each input by itself."""
        return await Runnable.abatch(self, inputs, *args, **kwargs)
