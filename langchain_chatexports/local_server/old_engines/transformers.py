"""Inference with transformers, one request at a time, and scoring of replies.

It computes all scores, and is the fallback for bases that llama.cpp cannot run.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    ChatTokenizer,
)
from langchain_chatexports.local_server.bases.devices import choose_device
from langchain_chatexports.local_server.bases.weights import load_base
from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.models import is_adapter

Result = TypeVar("Result")

_SCORING_CHUNK_TOKENS = 256
# Lower temperatures overflow; the most likely token is practically certain anyway.
_MIN_TEMPERATURE = 1e-4


class EngineClosedError(Exception):
    """The server is stopping."""


class ModelDeletedError(Exception):
    """The adapter of a requested model was deleted."""


# llama.cpp ignores the rest of a longer breaker.
_MAX_BREAKER_LENGTH = 40


@dataclass(frozen=True)
class Sampling:
    """Sampling settings with llama.cpp's names; the defaults are for chats.

    Without a penalty, small models repeat whole messages up to the token limit. DRY
    ("don't repeat yourself") allows a few repeated words, and makes each further word
    of the same phrase less likely. Line ends are not breakers here, because chats
    repeat whole lines: see "How good is it?" in `docs/evaluation.md`.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    # The minimum probability of a token, relative to the most likely one's.
    min_p: float = 0.02
    # Strength of the penalty for repetitions; 0 disables it.
    dry_multiplier: float = 0.8
    # Growth factor of the penalty per repeated token.
    dry_base: float = 1.75
    # The number of tokens that may be repeated.
    dry_allowed_length: int = 3
    # The number of tokens to search for repetitions, including the prompt; -1 for all.
    dry_penalty_last_n: int = 512

    def for_structured_output(self) -> "Sampling":
        """Return the settings for structured output, such as JSON."""
        return replace(self, min_p=0.0, dry_multiplier=0.0)

    def dry_penalties(self, tokens: Sequence[int], generated: int) -> dict[int, float]:
        """Return DRY's penalties by token, as in llama.cpp."""
        size = len(tokens) if self.dry_penalty_last_n < 0 else self.dry_penalty_last_n
        window = tokens[max(0, len(tokens) - size) :]
        end = len(window) - 1
        if not self.dry_multiplier or generated < self.dry_allowed_length:
            return {}
        longest: dict[int, int] = {}
        for at in range(end):
            length = 0
            while (
                length < min(generated, at + 1)
                and window[at - length] == window[end - length]
            ):
                length += 1
            following = window[at + 1]
            longest[following] = max(length, longest.get(following, 0))
        return {
            token: self.dry_multiplier
            * self.dry_base ** (length - self.dry_allowed_length)
            for token, length in longest.items()
            if length >= self.dry_allowed_length
        }


def create_dry_breakers(header: str) -> list[str]:
    """Return DRY's sequence breakers for llama.cpp: a reply's header."""
    return [header[-_MAX_BREAKER_LENGTH:]]


@dataclass(frozen=True)
class GenerationRequest:
    """A prompt and its sampling settings."""

    prompt: list[int]
    max_tokens: int
    adapter: Path | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stops: list[str] = field(default_factory=list)
    seed: int | None = None


class GenerationResult(NamedTuple):
    """The finish reason and token count of a streamed reply."""

    finish_reason: Literal["stop", "length"]
    tokens: int


class TransformersEngine:
    """A base model with its worker thread; the weights are loaded on first use."""

    def __init__(
        self, directory: Path, tokenizer: ChatTokenizer, *, threads: int
    ) -> None:
        """Initialize the engine without loading the base."""
        self._tokenizer = tokenizer
        self._directory = directory
        self._threads = threads
        self._model: LoadedBase | None = None
        self._thread = ThreadPoolExecutor(1, "transformers")
        self._is_closed = False

    def submit(
        self,
        request: GenerationRequest,
        on_text: Callable[[str], None],
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Future[GenerationResult]:
        """Queue a request; `on_text` is called from the engine's thread."""

        def should_stop() -> bool:
            if self._is_closed:
                raise EngineClosedError
            return is_cancelled()

        return self.run(
            lambda model: model.generate(request, self._tokenizer, on_text, should_stop)
        )

    def run(self, task: "Callable[[LoadedBase], Result]") -> "Future[Result]":
        """Queue a task for the model."""

        def run_task() -> Result:
            if self._is_closed:
                raise EngineClosedError
            if self._model is None:
                self._model = LoadedBase(self._directory, threads=self._threads)
            return task(self._model)

        try:
            return self._thread.submit(run_task)
        except RuntimeError as error:  # It is closed.
            raise EngineClosedError from error

    def unload(self, adapter: Path) -> None:
        """Unload an adapter; its folder may be deleted already."""
        if self._model is not None and not self._is_closed:
            self._thread.submit(self._model.unload, adapter)

    def close(self) -> None:
        """Cancel all requests and stop the thread."""
        self._is_closed = True
        self._thread.shutdown(wait=True)


class LoadedBase:
    """A causal language model and at most one adapter; not thread-safe."""

    def __init__(self, directory: Path, *, threads: int) -> None:
        """Load the base from its directory."""
        import torch
        from transformers import GenerationConfig
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        torch.set_num_threads(threads)
        self.device = choose_device()
        self._model = load_base(directory, self.device).eval()
        ends = self._model.generation_config.eos_token_id
        self.end_tokens = set(ends if isinstance(ends, list) else [ends]) - {None}
        """Token ids that end a reply, from the generation config."""

        # Otherwise the base's own sampling settings would be merged into a request's.
        self._model.generation_config = GenerationConfig()
        self._peft: Any = None
        self._adapter: Path | None = None
        """The folder of the loaded adapter."""

    def generate(
        self,
        request: GenerationRequest,
        tokenizer: ChatTokenizer,
        on_text: Callable[[str], None],
        should_stop: Callable[[], bool],
    ) -> GenerationResult:
        """Generate a reply up to an end token or stop sequence, and stream its text."""
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

        self._activate(request.adapter)
        end_tokens = self.end_tokens | tokenizer.end_tokens
        streamer = _TextStreamer(
            on_text, tokenizer.tokenizer, end_tokens, request.stops
        )
        settings = request.sampling
        is_greedy = settings.temperature < _MIN_TEMPERATURE or settings.top_p <= 0
        sampling = {
            "temperature": settings.temperature,
            "min_p": settings.min_p or None,
            "top_p": settings.top_p,
            "top_k": 0,
        }
        config = GenerationConfig(
            max_new_tokens=request.max_tokens,
            eos_token_id=sorted(end_tokens),
            pad_token_id=min(end_tokens, default=0),
            do_sample=not is_greedy,
            **({} if is_greedy else sampling),
        )
        seed = torch.seed() if request.seed is None else request.seed
        torch.manual_seed(seed % 2**63)
        prompt = torch.tensor([request.prompt], device=self.device)
        with torch.inference_mode():
            self._model.generate(
                prompt,
                generation_config=config,
                attention_mask=torch.ones_like(prompt),
                logits_processor=[penalize],
                stopping_criteria=[is_done],
                streamer=streamer,
            )
        reason: Literal["stop", "length"] = "stop" if streamer.is_finished else "length"
        return GenerationResult(reason, len(streamer.ids))

    def negative_log_likelihoods(
        self, tokens: list[int], positions: list[int], adapter: Path | None
    ) -> list[float]:
        """Return the negative log-likelihoods of tokens at positions, in nats.

        Position 0 has none.
        """
        import torch

        if not positions:
            return []
        self._activate(adapter)
        # The logits at a position predict the next token.
        logit_positions = torch.tensor(
            [position - 1 for position in positions], device=self.device
        )
        targets = torch.tensor(
            [tokens[position] for position in positions], device=self.device
        )
        with torch.inference_mode():
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

    def unload(self, adapter: Path) -> None:
        """Unload an adapter, if it is loaded."""
        if self._adapter == adapter:
            self._unload()

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
            raise ModelDeletedError
        config = read_json(adapter / "adapter_config.json") or {}
        uses_megatron = config.get("megatron_config") is not None
        if config.get("peft_type") != "LORA" or uses_megatron:
            # For other adapters, PEFT would load more files, hub ids and modules.
            msg = (
                f"{adapter} is not a plain LoRA adapter. Other types are not "
                "supported, because they can load additional files and modules."
            )
            raise LocalServerError(msg)
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


@dataclass(frozen=True)
class TurnScore:
    """The negative log-likelihood of one assistant message.

    Models with different tokenizers are compared by bits per byte of held-out replies:
    `(sum(nll) + sum(end_nll)) / ln 2 / sum(size_bytes + 1)`.
    """

    index: int
    nll: float
    """The value for its text, in nats."""

    end_nll: float
    """The value for the token that ends the turn, in nats."""

    tokens: int
    size_bytes: int
    """The size of the text in UTF-8."""


def score_conversation(
    model: LoadedBase,
    template: ChatTemplate,
    messages: Sequence[Mapping[str, Any]],
    *,
    adapter: Path | None,
    context: int,
) -> list[TurnScore] | None:
    """Score a conversation in one forward pass.

    Returns `None` if the conversation has more than `context` tokens.
    """
    ids, spans = template.reply_spans(messages)
    if len(ids) > context:
        return None
    positions = [
        position for span in spans for position in range(span.start, span.end + 1)
    ]
    losses = model.negative_log_likelihoods(ids, positions, adapter)
    nll = dict(zip(positions, losses, strict=True))
    return [
        TurnScore(
            index=span.message_index,
            nll=sum(nll[position] for position in range(span.start, span.end)),
            end_nll=nll[span.end],
            tokens=span.end - span.start,
            size_bytes=span.size_bytes,
        )
        for span in spans
    ]
