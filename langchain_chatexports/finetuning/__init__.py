"""From training examples to a tuned chat model, by OpenAI's fine-tuning protocol.

What makes and checks the examples is in `langchain_chatexports.datasets`; its names can
be imported from here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_chatexports import datasets
from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.datasets import *  # noqa: F403 - all, as below
    from langchain_chatexports.finetuning.orders import JobUse, find_jobs
    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

__all__ = ["ChatFineTuner", "FineTuningRun", "JobUse", "find_jobs"]
__all__ += datasets.__all__

_MODULES = {
    "orders": ("JobUse", "find_jobs"),
    "run": ("FineTuningRun",),
    "tuner": ("ChatFineTuner",),
}

_get_own, __dir__ = lazy_names(__name__, _MODULES)


def __getattr__(name: str) -> Any:
    return getattr(datasets, name) if name in datasets.__all__ else _get_own(name)
