"""A base in transformers, with at most one adapter: its answers and likelihoods."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.cache import read_json
from langchain_chatexports.local_server.bases.devices import choose_device
from langchain_chatexports.local_server.bases.preparation import load_tokenizer
from langchain_chatexports.local_server.bases.template import ChatTemplate
from langchain_chatexports.local_server.bases.weights import is_adapter, load_base
from langchain_chatexports.local_server.engines.engine import deleted_error
from langchain_chatexports.local_server.engines.sampling import (
    MIN_TEMPERATURE,
    Sampling,
)
from langchain_chatexports.local_server.errors import RequestError

_SCORING_CHUNK_TOKENS = 256


@dataclass(frozen=True)
class Request:
    """A prompt and its sampling settings."""

    prompt: list[int]
    max_tokens: int
    adapter: Path | None
    sampling: Sampling
    stops: list[str]
    seed: int | None
    strength: float = 1.0


class LoadedBase:
    """A causal language model and at most one adapter; not thread-safe."""

    def __init__(self, directory: Path, template: ChatTemplate) -> None:
        """Load the base from its directory."""
        from transformers import GenerationConfig
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.tokenizer, _ = load_tokenizer(directory)
        self.device = choose_device()
        self._model = load_base(directory, self.device).eval()
        ends = self._model.generation_config.eos_token_id
        end = self.tokenizer.convert_tokens_to_ids(template.markup.end_token)
        self.end_tokens = {
            *(ends if isinstance(ends, list) else [ends]),
            *(end, self.tokenizer.eos_token_id),
        } - {None}
        """Token ids that end a reply, of the model, the template and the tokenizer."""

        # The base's own sampling settings would be merged into a request's.
        self._model.generation_config = GenerationConfig()
        self._peft: Any = None
        self._adapter: Path | None = None
        """The folder of the loaded adapter."""

    def generate(
        self,
        request: Request,
        on_text: Callable[[str], None],
        should_stop: Callable[[], bool],
    ) -> tuple[str, int]:
        """Stream a reply; return its finish reason and the number of its tokens."""
        import torch
        from transformers import GenerationConfig

        def is_done(ids: Any, _: Any, **_more: Any) -> Any:
            should_end = should_stop() or streamer.is_finished
            return torch.full((ids.shape[0],), should_end, device=ids.device)

        def penalize(ids: Any, scores: Any) -> Any:
            tokens = ids[0].tolist()
            generated = len(tokens) - len(request.prompt)
            for token, penalty in settings.dry_penalties(tokens, generated).items():
                scores[0, token] -= penalty
            return scores

        streamer = _TextStreamer(
            on_text, self.tokenizer, self.end_tokens, request.stops
        )
        settings = request.sampling
        is_greedy = settings.temperature < MIN_TEMPERATURE or settings.top_p <= 0
        sampling = {
            "temperature": settings.temperature,
            "min_p": settings.min_p or None,
            "top_p": settings.top_p,
            "top_k": 0,
        }
        config = GenerationConfig(
            max_new_tokens=request.max_tokens,
            eos_token_id=sorted(self.end_tokens),
            pad_token_id=min(self.end_tokens, default=0),
            do_sample=not is_greedy,
            **({} if is_greedy else sampling),
        )
        seed = torch.seed() if request.seed is None else request.seed
        torch.manual_seed(seed % 2**63)
        prompt = torch.tensor([request.prompt], device=self.device)
        with self._adapted(request.adapter, request.strength), torch.inference_mode():
            self._model.generate(
                prompt,
                generation_config=config,
                attention_mask=torch.ones_like(prompt),
                logits_processor=[penalize],
                stopping_criteria=[is_done],
                streamer=streamer,
            )
        return "stop" if streamer.is_finished else "length", len(streamer.ids)

    def negative_log_likelihoods(
        self,
        tokens: list[int],
        positions: list[int],
        adapter: Path | None,
        strength: float = 1.0,
    ) -> list[float]:
        """Return the negative log-likelihoods of tokens at positions, in nats.

        Position 0 has none.
        """
        import torch

        if not positions:
            return []
        # The logits at a position predict the next token.
        logit_positions = torch.tensor(
            [position - 1 for position in positions], device=self.device
        )
        targets = torch.tensor(
            [tokens[position] for position in positions], device=self.device
        )
        with self._adapted(adapter, strength), torch.inference_mode():
            logits = self._model(
                input_ids=torch.tensor([tokens], device=self.device),
                use_cache=False,
                logits_to_keep=logit_positions,
            ).logits[0]
            losses: list[float] = []
            # In chunks, because float32 logits over the whole vocabulary are large.
            for chunk, chunk_targets in zip(
                logits.split(_SCORING_CHUNK_TOKENS),
                targets.split(_SCORING_CHUNK_TOKENS),
                strict=True,
            ):
                log_likelihoods = torch.log_softmax(chunk.float(), dim=-1)
                target_values = log_likelihoods.gather(1, chunk_targets[:, None])[:, 0]
                losses.extend((-target_values).tolist())
        return losses

    @contextmanager
    def _adapted(self, adapter: Path | None, strength: float) -> Iterator[None]:
        """Apply an adapter, or a part of it."""
        self._activate(adapter)
        if adapter is None or strength == 1:
            yield
            return
        from peft.helpers import rescale_adapter_scale

        with rescale_adapter_scale(self._peft, strength):
            yield

    def _activate(self, adapter: Path | None) -> None:
        if adapter is None:
            if self._peft is not None:
                self._peft.base_model.disable_adapter_layers()
        elif adapter == self._adapter:
            self._peft.base_model.enable_adapter_layers()
        else:
            self._unload()
            self._load(adapter)

    def _load(self, adapter: Path) -> None:
        from peft import PeftModel

        if not is_adapter(adapter):
            raise deleted_error()
        config = read_json(adapter / "adapter_config.json") or {}
        uses_megatron = config.get("megatron_config") is not None
        if config.get("peft_type") != "LORA" or uses_megatron:
            # For other adapters, PEFT would load more files, hub ids and modules.
            msg = (
                f"{adapter} is not a plain LoRA adapter. Other types are not "
                "supported, because they can load additional files and modules."
            )
            raise RequestError(msg, code="invalid_value", param="model")
        with warnings.catch_warnings():
            # PEFT uses an attribute that transformers deprecates.
            warnings.simplefilter("ignore", FutureWarning)
            self._peft = PeftModel.from_pretrained(
                self._model, adapter, torch_device=self.device
            ).eval()
        self._adapter = adapter

    def _unload(self) -> None:
        if self._peft is not None:
            self._model = self._peft.unload()
        self._peft = self._adapter = None


class _TextStreamer:
    """Streams the decoded text in complete characters, up to a stop sequence."""

    def __init__(
        self,
        on_text: Callable[[str], None],
        tokenizer: Any,
        end_tokens: set[int],
        stops: list[str],
    ) -> None:
        self.ids: list[int] = []
        self.is_finished = False
        """Whether the reply ended with an end token or stop sequence."""

        self._on_text = on_text
        self._tokenizer = tokenizer
        self._end_tokens = end_tokens
        self._stops = stops
        # The last characters may be the start of a stop sequence.
        self._withheld = max(map(len, self._stops), default=1) - 1
        self._sent = 0
        self._has_prompt = False

    def put(self, ids: Any) -> None:
        """Receive the prompt first, then each token."""
        if not self._has_prompt:
            self._has_prompt = True
            return
        (token,) = ids.flatten().tolist()
        # transformers checks the stopping criteria before it calls this.
        if self.is_finished or token in self._end_tokens:
            self.is_finished = True
            return
        self.ids.append(token)
        # A token can be part of a character.
        self._write(self._text().rstrip("\ufffd"), withheld=self._withheld)

    def end(self) -> None:
        """Flush the withheld text."""
        self._write(self._text(), withheld=0)

    def _text(self) -> str:
        return str(self._tokenizer.decode(self.ids, skip_special_tokens=True))

    def _write(self, text: str, *, withheld: int) -> None:
        stop_positions = [i for i in map(text.find, self._stops) if i >= 0]
        self.is_finished = self.is_finished or bool(stop_positions)
        end = min(stop_positions) if stop_positions else len(text) - withheld
        if end > self._sent:
            self._on_text(text[self._sent : end])
            self._sent = end
