"""Sampling settings, and what else engines read from the body of a chat request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

DEFAULT_TOKENS = 1024
"""The token limit of a reply, if neither the request nor the model has one."""

# Lower temperatures overflow; the most likely token is practically certain anyway.
MIN_TEMPERATURE = 1e-4
"""The lowest temperature that is not greedy."""

LLAMA_CPP_ONLY = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "top_logprobs",
    }
)
"""Parameters that llama.cpp checks itself, and transformers does not support."""

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


def is_structured(body: Mapping[str, Any]) -> bool:
    """Return whether the response is structured: JSON or a tool call."""
    response_format = body.get("response_format") or {}
    return response_format.get("type", "text") != "text" or bool(body.get("tools"))


def read_sampling(body: Mapping[str, Any]) -> Sampling:
    """Return the sampling settings of a request."""
    default = Sampling()
    if is_structured(body):
        default = default.for_structured_output()
    chosen = {
        # transformers rejects a temperature of 1 that is not a float.
        field.name: type(getattr(default, field.name))(body[field.name])
        for field in fields(Sampling)
        if body.get(field.name) is not None
    }
    return replace(default, **chosen)


def read_extras(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters for llama.cpp that differ from their default."""
    extras = {name: body[name] for name in LLAMA_CPP_ONLY if body.get(name)}
    if extras.get("n") == 1:
        del extras["n"]
    return extras


def read_stops(body: Mapping[str, Any]) -> list[str]:
    """Return the stop sequences of a request."""
    stop = body.get("stop") or []
    return [text for text in ([stop] if isinstance(stop, str) else stop) if text]


def token_limit(body: Mapping[str, Any], reply_tokens: int | None) -> int:
    """Return the token limit of a reply; `reply_tokens` is the model's own."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit or is_structured(body):
        return int(limit or DEFAULT_TOKENS)
    return reply_tokens or DEFAULT_TOKENS


def offered_tools(body: Mapping[str, Any]) -> list[Any]:
    """Return the tools that the model may call."""
    choice, tools = body.get("tool_choice"), body.get("tools") or []
    if choice == "none":
        return []
    if isinstance(choice, Mapping):
        name = choice["function"]["name"]
        return [tool for tool in tools if tool["function"]["name"] == name]
    return list(tools)
