"""One run a call in the traces: counts and ids, never contents.

LangChain's own helpers record inputs and outputs, and a trace can leave the machine.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
    patch_config,
)
from langchain_core.runnables.retry import RunnableRetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.runnables import RunnableConfig

__all__ = ["TracedCall", "TunerRetry", "atraced", "traced"]

_EVENT = "fine_tuning_event"


@dataclass
class TracedCall:
    """A run that is being traced.

    Attributes:
        config: The config of what happens inside it.
        outputs: What the trace says at the end.
    """

    config: RunnableConfig
    outputs: dict[str, Any] = field(default_factory=dict)

    def dispatch(self, event: Any) -> None:
        """Tell the callbacks of an event of the job."""
        dispatch_custom_event(_EVENT, _to_json(event), config=self.config)

    async def adispatch(self, event: Any) -> None:
        """Tell the callbacks of an event of the job."""
        await adispatch_custom_event(_EVENT, _to_json(event), config=self.config)


def _to_json(event: Any) -> dict[str, Any]:
    # A warning about a field of another type would show what is in it.
    data: dict[str, Any] = event.model_dump(mode="json", warnings=False)
    return data


@contextmanager
def traced(name: str, config: RunnableConfig | None) -> Iterator[TracedCall]:
    """Make a run of what happens inside."""
    config = ensure_config(config)
    run = get_callback_manager_for_config(config).on_chain_start(
        None,
        {"input": ""},
        name=config.get("run_name") or name,
        run_id=config.pop("run_id", None),
    )
    call = TracedCall(patch_config(config, callbacks=run.get_child()))
    try:
        yield call
    except BaseException as error:
        run.on_chain_error(error)
        raise
    run.on_chain_end(call.outputs)


@asynccontextmanager
async def atraced(
    name: str, config: RunnableConfig | None
) -> AsyncIterator[TracedCall]:
    """Make a run of what happens inside."""
    config = ensure_config(config)
    run = await get_async_callback_manager_for_config(config).on_chain_start(
        None,
        {"input": ""},
        name=config.get("run_name") or name,
        run_id=config.pop("run_id", None),
    )
    call = TracedCall(patch_config(config, callbacks=run.get_child()))
    try:
        yield call
    except BaseException as error:
        await run.on_chain_error(error)
        raise
    await run.on_chain_end(call.outputs)


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
