"""Answers by transformers, one at a time, and scores of given answers.

Used if llama.cpp cannot answer, and for scores with both engines.
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

_SCORED_POSITIONS = 256
# Below this temperature the likeliest token is practically certain, and dividing by it
# overflows.
_MIN_TEMPERATURE = 1e-4


class EngineClosedError(Exception):
    """The server is stopping."""


# llama.cpp uses no more of a text that ends a repetition.
_MAX_BREAKER = 40


@dataclass(frozen=True)
class Sampling:
    """Sampling settings, with llama.cpp's names; the defaults are those of a talk.

    Without a penalty, small models repeat whole messages up to the token limit. DRY
    ("don't repeat yourself") allows a few repeated words, and makes each further word
    of the same phrase less likely. Its usual breakers at line ends are not used,
    because loops in chats are made of lines: see "How good is it?" in
    `docs/evaluation.md`.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    # The minimum probability of a token, as a share of the likeliest one's.
    min_p: float = 0.02
    # The strength of the penalty for repetitions; 0 for none.
    dry_multiplier: float = 0.8
    # The growth of the penalty with the length of a repetition.
    dry_base: float = 1.75
    # The number of tokens that may be repeated.
    dry_allowed_length: int = 3
    # The number of tokens to search for repetitions, the prompt's included; -1: all.
    dry_penalty_last_n: int = 512

    def without_talk(self) -> "Sampling":
        """Return the settings for structured answers, such as JSON."""
        return replace(self, min_p=0.0, dry_multiplier=0.0)

    def dry_penalties(self, tokens: Sequence[int], answered: int) -> dict[int, float]:
        """Return DRY's penalties for the logits of tokens, as in llama.cpp."""
        size = len(tokens) if self.dry_penalty_last_n < 0 else self.dry_penalty_last_n
        window = tokens[max(0, len(tokens) - size) :]
        end = len(window) - 1
        if not self.dry_multiplier or answered < self.dry_allowed_length:
            return {}
        longest: dict[int, int] = {}
        for at in range(end):
            length = 0
            while (
                length < min(answered, at + 1)
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


def dry_breakers(header: str) -> list[str]:
    """Return the texts that end a repetition for llama.cpp: an answer's header."""
    return [header[-_MAX_BREAKER:]]


@dataclass(frozen=True)
class GenerationRequest:
    """A prompt and its sampling settings."""

    prompt: list[int]
    max_tokens: int
    adapter: Path | None = None
    sampling: Sampling = field(default_factory=Sampling)
    stops: list[str] = field(default_factory=list)
    seed: int | None = None


class GeneratedAnswer(NamedTuple):
    """The end of an answer, whose text was passed on."""

    finish_reason: Literal["stop", "length"]
    tokens: int


class TransformersEngine:
    """A base model and the thread that uses it.

    The weights are loaded for the first answer or score, and not for training.
    """

    def __init__(
        self, directory: Path, tokenizer: ChatTokenizer, *, threads: int
    ) -> None:
        """Initialize the engine with the base's directory; nothing is loaded."""
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
    ) -> Future[GeneratedAnswer]:
        """Queue a request; `on_text` is called in the engine's thread."""

        def should_stop() -> bool:
            if self._is_closed:
                raise EngineClosedError
            return is_cancelled()

        return self.run(
            lambda model: model.generate(request, self._tokenizer, on_text, should_stop)
        )

    def run(self, task: "Callable[[LoadedBase], Result]") -> "Future[Result]":
        """Run a task on the model, after the queued ones."""

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

    def forget(self, adapter: Path) -> None:
        """Unload an adapter; its folder may be deleted already."""
        if self._model is not None and not self._is_closed:
            self._thread.submit(self._model.forget, adapter)

    def close(self) -> None:
        """Cancel all answers and stop the thread."""
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
        """The tokens that end an answer, from the generation config."""

        # Otherwise a base's own sampling settings would be mixed with those of a
        # request.
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
    ) -> GeneratedAnswer:
        """Generate an answer up to one of its end tokens, and pass on its text."""
        import torch
        from transformers import GenerationConfig

        def is_done(ids: Any, _: Any, **_more: Any) -> Any:
            is_found = should_stop() or writer.is_ended
            return torch.full((ids.shape[0],), is_found, device=ids.device)

        def penalize(ids: Any, scores: Any) -> Any:
            tokens = ids[0].tolist()
            answered = len(tokens) - len(request.prompt)
            for token, penalty in chosen.dry_penalties(tokens, answered).items():
                scores[0, token] -= penalty
            return scores

        self._activate(request.adapter)
        ends = self.end_tokens | tokenizer.end_tokens
        writer = _Writer(on_text, tokenizer.tokenizer, ends, request.stops)
        chosen = request.sampling
        is_cold = chosen.temperature < _MIN_TEMPERATURE or chosen.top_p <= 0
        sampling = {
            "temperature": chosen.temperature,
            "min_p": chosen.min_p or None,
            "top_p": chosen.top_p,
            "top_k": 0,
        }
        config = GenerationConfig(
            max_new_tokens=request.max_tokens,
            eos_token_id=sorted(ends),
            pad_token_id=min(ends, default=0),
            do_sample=not is_cold,
            **({} if is_cold else sampling),
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
                streamer=writer,
            )
        reason: Literal["stop", "length"] = "stop" if writer.is_ended else "length"
        return GeneratedAnswer(reason, len(writer.ids))

    def negative_log_likelihoods(
        self, tokens: list[int], positions: list[int], adapter: Path | None
    ) -> list[float]:
        """Return the negative log-likelihoods, in nats, at positions in a whole text.

        The first token has no likelihood.
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
            # Compute in parts: float32 logits of the whole vocabulary are large.
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
            msg = f"There is no adapter in {adapter}."
            raise FileNotFoundError(msg)
        config = read_json(adapter / "adapter_config.json") or {}
        uses_megatron = config.get("megatron_config") is not None
        if config.get("peft_type") != "LORA" or uses_megatron:
            # PEFT would load other files, hub ids and Python modules from these.
            msg = (
                f"{adapter} is not a plain LoRA adapter: other kinds may have further "
                "files and modules to load."
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


class _Writer:
    """Passes on the text of tokens: whole characters, up to a stop."""

    def __init__(
        self,
        on_text: Callable[[str], None],
        tokenizer: Any,
        ends: set[int],
        stops: list[str],
    ) -> None:
        self.ids: list[int] = []
        self.is_ended = False
        """Whether the answer ended at an end token or a stop, and not at the token
        limit."""

        self._on_text = on_text
        self._tokenizer = tokenizer
        self._ends = ends
        self._stops = stops
        # A possible start of a stop is held back.
        self._hold = max(map(len, self._stops), default=1) - 1
        self._sent = 0
        self._has_prompt = False

    def put(self, ids: Any) -> None:
        """Receive the prompt, and then token by token."""
        if not self._has_prompt:
            self._has_prompt = True
            return
        (token,) = ids.flatten().tolist()
        # transformers checks the stopping criteria before it passes a token here.
        if self.is_ended or token in self._ends:
            self.is_ended = True
            return
        self.ids.append(token)
        # Some tokens are only a part of a character.
        self._write(self._text().rstrip("\ufffd"), hold=self._hold)

    def end(self) -> None:
        """Send the text that was held back."""
        self._write(self._text(), hold=0)

    def _text(self) -> str:
        return str(self._tokenizer.decode(self.ids, skip_special_tokens=True))

    def _write(self, text: str, *, hold: int) -> None:
        found = [at for at in map(text.find, self._stops) if at >= 0]
        self.is_ended = self.is_ended or bool(found)
        end = min(found) if found else len(text) - hold
        if end > self._sent:
            self._on_text(text[self._sent : end])
            self._sent = end


@dataclass(frozen=True)
class TurnScore:
    """The negative log-likelihood of one assistant message.

    To compare models with different tokenizers, use bits per byte of held-out answers:
    `(sum(nll) + sum(end_nll)) / ln 2 / sum(size_bytes + 1)`.
    """

    index: int
    nll: float
    """That of its text, in nats."""

    end_nll: float
    """That of the token that ends the turn."""

    tokens: int
    size_bytes: int
    """Bytes of the text in UTF-8."""


def score_conversation(
    model: LoadedBase,
    template: ChatTemplate,
    messages: Sequence[Mapping[str, Any]],
    *,
    adapter: Path | None,
    context: int,
) -> list[TurnScore] | None:
    """Score one conversation in one forward pass.

    Returns `None` if the conversation has more than `context` tokens.
    """
    ids, spans = template.answer_spans(messages)
    if len(ids) > context:
        return None
    wanted = [
        position for span in spans for position in range(span.start, span.end + 1)
    ]
    losses = model.negative_log_likelihoods(ids, wanted, adapter)
    nll = dict(zip(wanted, losses, strict=True))
    return [
        TurnScore(
            index=span.number,
            nll=sum(nll[position] for position in range(span.start, span.end)),
            end_nll=nll[span.end],
            tokens=span.end - span.start,
            size_bytes=span.size_bytes,
        )
        for span in spans
    ]
