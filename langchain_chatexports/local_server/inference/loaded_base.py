"""The base model in memory, and the adapters loaded onto it."""

from __future__ import annotations

import math
import os
import warnings
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.devices import choose_device
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.storage.adapters import is_adapter
from langchain_chatexports.local_server.storage.data_directory import read_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LoadedBase", "new_generator", "sample"]

_MAX_ADAPTERS = 8
_SCORED_POSITIONS = 256
# Below this temperature the likeliest token is practically certain, and dividing by it
# overflows.
_MIN_TEMPERATURE = 1e-4


class LoadedBase:
    """A causal language model with its adapters; not thread-safe."""

    def __init__(self, directory: Path, *, threads: int) -> None:
        """Load the base.

        Args:
            directory: The base in transformers' format.
            threads: The number of CPU threads.
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
        """The tokens that end an answer, from the generation config."""
        ends = self._model.generation_config.eos_token_id
        if ends is None:
            return set()
        return set(ends) if isinstance(ends, list) else {ends}

    def new_cache(self) -> Any:
        """Return an empty key-value cache."""
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def next_logits(self, tokens: list[int], cache: Any, adapter: Path | None) -> Any:
        """Read tokens, and return the logits of the next one.

        Args:
            tokens: The tokens that are not in the cache yet.
            cache: The key-value cache of the tokens before; these are added to it.
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

    def negative_log_likelihoods(
        self, tokens: list[int], positions: list[int], adapter: Path | None
    ) -> list[float]:
        """Return the negative log-likelihoods of tokens in a text, in nats.

        Args:
            tokens: The whole text.
            positions: The tokens to score; the first token has no score.
            adapter: The folder of an adapter, or `None` for the base itself.
        """
        import torch

        if not positions:
            return []
        self._activate(adapter)
        # The logits at a position predict the next token.
        before = torch.tensor([at - 1 for at in positions], device=self.device)
        targets = torch.tensor([tokens[at] for at in positions], device=self.device)
        with torch.inference_mode():
            logits = self._model(
                input_ids=torch.tensor([tokens], device=self.device),
                use_cache=False,
                logits_to_keep=before,
            ).logits[0]
            losses: list[float] = []
            # In parts, because float32 logits of the whole vocabulary are large.
            for part, wanted in zip(
                logits.split(_SCORED_POSITIONS),
                targets.split(_SCORED_POSITIONS),
                strict=True,
            ):
                log_likelihoods = torch.log_softmax(part.float(), dim=-1)
                chosen = log_likelihoods.gather(1, wanted[:, None])[:, 0]
                losses.extend((-chosen).tolist())
        return losses

    def forget(self, adapter: Path) -> None:
        """Unload an adapter, and those in subfolders of its folder."""
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
        config = read_json(adapter / "adapter_config.json") or {}
        uses_megatron = config.get("megatron_config") is not None
        if config.get("peft_type") != "LORA" or uses_megatron:
            # PEFT follows these to other files, hub ids and Python modules.
            msg = (
                f"{adapter} is not a plain LoRA adapter: other kinds can name further "
                "files and modules to load."
            )
            raise LocalServerError(msg)
        with warnings.catch_warnings():
            # PEFT uses an attribute that transformers deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            self._add_adapter(adapter)

    def _add_adapter(self, adapter: Path) -> None:
        from peft import PeftModel

        self._count += 1
        # Names of PEFT adapters must not contain a dot.
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


def sample(logits: Any, *, temperature: float, top_p: float, generator: Any) -> int:
    """Sample a token.

    Args:
        logits: The logits, in float32.
        temperature: The sampling temperature; 0 takes the likeliest token.
        top_p: The probability mass of the tokens that are sampled from.
        generator: A random number generator of torch.
    """
    import torch

    if temperature < _MIN_TEMPERATURE or top_p <= 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits.cpu() / temperature, dim=-1)
    if top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        # The token that reaches top_p is included.
        is_outside = ordered.cumsum(-1) - ordered >= top_p
        probabilities[order[is_outside]] = 0.0
    if not math.isfinite(float(probabilities.sum())):
        return int(logits.argmax())
    return int(torch.multinomial(probabilities, 1, generator=generator))


def new_generator(seed: int | None) -> Any:
    """Return a random number generator; `None` takes a random seed."""
    import torch

    chosen = int.from_bytes(os.urandom(7), "big") if seed is None else seed
    generator = torch.Generator()
    generator.manual_seed(chosen % 2**63)
    return generator
