"""Fine-tune a chat model on a server with OpenAI's fine-tuning API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names

if TYPE_CHECKING:
    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

__all__ = ["ChatFineTuner", "FineTuningRun"]

_MODULES = {
    "run": ("FineTuningRun",),
    "tuner": ("ChatFineTuner",),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
