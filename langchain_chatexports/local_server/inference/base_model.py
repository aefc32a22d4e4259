"""The base model in memory, with any number of adapters on the one copy of it."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.bases.devices import choose_device
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.storage.adapters import is_adapter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BaseModel", "sample"]

logger = logging.getLogger(__name__)

_MAX_ADAPTERS = 8
_SCORED_AT_ONCE = 256
# Below this temperature the likeliest token is as good as certain, and dividing by it
# leaves the range of numbers.
_MIN_TEMPERATURE = 1e-4


class BaseModel:
    """A causal language model and its adapters; used by one thread at a time."""

    def __init__(self, directory: Path, *, threads: int) -> None:
        """Load the base from a directory of safetensors.

        Args:
            directory: The base in transformers' format.
            threads: How many threads its mathematics may use.
        """
        import torch
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        torch.set_num_threads(threads)
        self.device = choose_device()
        self._model = load_base(directory, self.device).eval()
        self._peft: Any = None
        self._loaded: OrderedDict[Path, str] = OrderedDict()
        self._active: Path | None = None
        self._count = 0

    @property
    def end_tokens(self) -> set[int]:
        """The tokens that end an answer, as the model's own settings say."""
        ends = self._model.generation_config.eos_token_id
        if ends is None:
            return set()
        return set(ends) if isinstance(ends, list) else {ends}

    def new_cache(self) -> Any:
        """Make an empty memory of what was read."""
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def next_scores(self, tokens: list[int], cache: Any, adapter: Path | None) -> Any:
        """Read tokens and give the scores of the one that follows.

        Args:
            tokens: The tokens that the cache does not hold yet.
            cache: The memory of all before; these tokens are added to it.
            adapter: The folder of an adapter, or `None` for the base itself.
        """
        import torch

        self._activate(adapter)
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([tokens], device=self.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        return output.logits[0, -1].float()

    def prices(
        self, tokens: list[int], positions: list[int], adapter: Path | None
    ) -> list[float]:
        """Return the negative log-likelihood of tokens in a text, in nats.

        Args:
            tokens: The whole text.
            positions: Which tokens to price; each after the first.
            adapter: The folder of an adapter, or `None` for the base itself.
        """
        import torch

        if not positions:
            return []
        self._activate(adapter)
        # A token is foretold by the position before it.
        before = torch.tensor([at - 1 for at in positions], device=self.device)
        targets = torch.tensor([tokens[at] for at in positions], device=self.device)
        with torch.inference_mode():
            scores = self._model(
                input_ids=torch.tensor([tokens], device=self.device),
                use_cache=False,
                logits_to_keep=before,
            ).logits[0]
            prices: list[float] = []
            # In parts: in float32, a vocabulary a position is much.
            for part, wanted in zip(
                scores.split(_SCORED_AT_ONCE),
                targets.split(_SCORED_AT_ONCE),
                strict=True,
            ):
                log_likelihoods = torch.log_softmax(part.float(), dim=-1)
                chosen = log_likelihoods.gather(1, wanted[:, None])[:, 0]
                prices.extend((-chosen).tolist())
        return prices

    def forget(self, adapter: Path) -> None:
        """Drop an adapter from memory, with those inside its folder."""
        for folder in [f for f in self._loaded if f == adapter or adapter in f.parents]:
            self._drop(folder)

    def _activate(self, adapter: Path | None) -> None:
        if adapter is not None and adapter not in self._loaded:
            self._load(adapter)
        if adapter is not None:
            self._loaded.move_to_end(adapter)
        if adapter == self._active:
            return
        if adapter is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(self._loaded[adapter])
        self._active = adapter

    def _load(self, adapter: Path) -> None:
        if not is_adapter(adapter):
            msg = f"There is no adapter in {adapter}."
            raise FileNotFoundError(msg)
        with warnings.catch_warnings():
            # PEFT asks the model for an attribute that transformers is about to drop.
            warnings.simplefilter("ignore", FutureWarning)
            self._add_adapter(adapter)

    def _add_adapter(self, adapter: Path) -> None:
        from peft import PeftModel

        self._count += 1
        # PEFT's names must not hold a dot.
        name = f"adapter{self._count}"
        if self._peft is None:
            self._peft = PeftModel.from_pretrained(
                self._model, adapter, adapter_name=name, torch_device=self.device
            )
            self._peft.eval()
            self._peft.base_model.disable_adapter_layers()
            self._active = None
        else:
            self._peft.load_adapter(
                adapter, adapter_name=name, torch_device=self.device
            )
        self._loaded[adapter] = name
        while len(self._loaded) > _MAX_ADAPTERS:
            self._drop(next(iter(self._loaded)))

    def _drop(self, folder: Path) -> None:
        name = self._loaded.pop(folder)
        if self._loaded:
            self._peft.delete_adapter(name)
            self._peft.base_model.disable_adapter_layers()
        else:
            self._model = self._peft.unload()
            self._peft = None
        self._active = None


def sample(scores: Any, *, temperature: float, top_p: float, generator: Any) -> int:
    """Choose a token from scores.

    Args:
        scores: One score a token, in float32.
        temperature: How freely to choose; 0 takes the likeliest.
        top_p: The share of likelihood that the choice is made from.
        generator: The source of chance.
    """
    import torch

    if temperature < _MIN_TEMPERATURE or top_p <= 0:
        return int(scores.argmax())
    likelihoods = torch.softmax(scores.cpu() / temperature, dim=-1)
    if top_p < 1:
        ordered, order = likelihoods.sort(descending=True)
        # The token that crosses the border belongs to the share.
        is_outside = ordered.cumsum(-1) - ordered >= top_p
        likelihoods[order[is_outside]] = 0.0
    if not math.isfinite(float(likelihoods.sum())):
        return int(scores.argmax())
    return int(torch.multinomial(likelihoods, 1, generator=generator))


def new_generator(seed: int | None) -> Any:
    """Make a source of chance; the same one for the same seed."""
    import torch

    chosen = int.from_bytes(os.urandom(7), "big") if seed is None else seed
    generator = torch.Generator()
    generator.manual_seed(chosen % 2**63)
    return generator
