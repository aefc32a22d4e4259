"""What an engine is asked, and what it sends back.

Two engines answer chats: `LlamaCppEngine` where llama.cpp runs, otherwise
`TransformersEngine`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

__all__ = [
    "Ability",
    "Engine",
    "EngineBusyError",
    "Generation",
    "GenerationRequest",
    "RefusedRequestError",
    "TextPiece",
]

Ability = Literal[
    "choices", "embeddings", "logprobs", "penalties", "schema", "tools", "logit_bias"
]
"""What an engine can do beyond plain answers."""


class EngineBusyError(Exception):
    """Too many requests are waiting, or the engine is closed."""


class RefusedRequestError(Exception):
    """The engine cannot answer this request.

    Its text, if there is one, says why, and holds nothing of a message.
    """


@dataclass(frozen=True)
class GenerationRequest:
    """A prompt and its sampling settings."""

    prompt: list[int]
    max_tokens: int
    adapter: Path | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    stops: list[str] = field(default_factory=list)
    seed: int | None = None

    choices: int = 1
    """How many answers; more than one needs the ability `choices`."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of llama.cpp's request, such as `n_probs`, `grammar`,
    `presence_penalty` or `logit_bias`; an engine without the ability ignores them."""


@dataclass(frozen=True)
class TextPiece:
    """A piece of generated text; the last one of an answer has a finish reason.

    An error ends all answers of the request.
    """

    text: str = ""
    finish_reason: Literal["stop", "length"] | None = None
    tokens: int = 0
    """Tokens of the answer; only in its last piece."""

    error: BaseException | None = None
    index: int = 0
    """Which of the request's answers this belongs to."""

    logprobs: list[dict[str, Any]] | None = None
    """The piece's tokens with their log-probabilities, in OpenAI's shape."""

    prompt_tokens: int | None = None
    """Tokens of the prompt as the engine counted them; only in a last piece."""

    cached_tokens: int = 0
    """How many of them were not read again; only in a last piece."""


class Generation(Protocol):
    """Answers that are being generated, until `cancel` is called."""

    @property
    def request(self) -> GenerationRequest:
        """The request."""

    def cancel(self) -> None:
        """Stop after the current token, and send no more pieces."""


class Engine(Protocol):
    """Generates answers of a base and of adapters on it."""

    name: str
    """The name to show: `llama.cpp` or `transformers`."""

    abilities: frozenset[Ability]

    @property
    def context(self) -> int:
        """The longest context of an answer in tokens, prompt included."""

    def submit(
        self, request: GenerationRequest, on_piece: Callable[[TextPiece], None]
    ) -> Generation:
        """Queue a request; `on_piece` is called in one of the engine's threads.

        Raises:
            EngineBusyError: If too many requests are waiting.
        """

    def embed(
        self, prompts: list[list[int]], adapter: Path | None = None
    ) -> Future[list[list[float]]]:
        """Return the embeddings of texts, given as token ids; they have length 1.

        Raises:
            EngineBusyError: If too many requests are waiting.

        The future raises `RefusedRequestError` if a text is too long, or the engine has
        not the ability `embeddings`.
        """

    def forget(self, adapter: Path) -> None:
        """Unload an adapter; its folder may be deleted already."""

    def close(self) -> None:
        """Cancel all answers and unload everything."""
