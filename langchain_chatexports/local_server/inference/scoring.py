"""How likely a model finds given answers: what OpenAI's protocol cannot ask.

Bits per byte of held-out answers compare models and tokenizers fairly:
`(sum(nll) + sum(end_nll)) / ln 2 / sum(size_bytes + 1)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.sources import describe_base, prepare_base
from langchain_chatexports.local_server.processes import default_threads
from langchain_chatexports.local_server.training.labels import (
    ChatTemplate,
    TooLongError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from langchain_chatexports.local_server.inference.base_model import BaseModel

__all__ = ["TurnScore", "score_conversation", "score_conversations"]


@dataclass(frozen=True)
class TurnScore:
    """How likely a model finds one message of the assistant."""

    index: int
    """Which message of the conversation it is."""

    nll: float
    """Negative log-likelihood of its text, in nats."""

    end_nll: float | None
    """That of the token that ends the turn; `None` where the template has none."""

    tokens: int
    """Tokens of the text, without the one that ends the turn."""

    size_bytes: int
    """Bytes of the text in UTF-8."""


def score_conversations(
    conversations: Iterable[Sequence[Mapping[str, Any]]],
    *,
    base: str | Path | None = None,
    adapter: str | Path | None = None,
    threads: int | None = None,
) -> Iterator[list[TurnScore]]:
    """Score the assistant's messages of conversations, in this process.

    Args:
        conversations: Lists of messages in OpenAI's shape.
        base: A base as for `LocalServer`.
        adapter: The folder of a tuned model (`TunedModel.path`); the base if `None`.
        threads: Threads of the mathematics; `None` for all cores but one.

    Yields:
        For each conversation the scores of its assistant's messages, in order.

    Raises:
        LocalServerError: If the base is missing, or a conversation is too long.
    """
    from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
    from langchain_chatexports.local_server.inference.base_model import BaseModel

    directory = prepare_base(describe_base(base))
    tokenizer, context = load_tokenizer(directory)
    template = ChatTemplate(tokenizer)
    try:
        model = BaseModel(directory, threads=threads or default_threads())
    except (LocalServerError, MemoryError):
        raise
    except Exception as error:
        msg = (
            f"The weights in {directory} cannot be loaded ({type(error).__name__}): "
            "they are damaged, do not fit config.json, or the memory does not suffice."
        )
        raise LocalServerError(msg) from error
    folder = None if adapter is None else Path(adapter)
    for number, messages in enumerate(conversations):
        scores = score_conversation(
            model, template, messages, adapter=folder, context=context
        )
        if scores is None:
            msg = f"Conversation {number} has more than the {context} tokens of {base}."
            raise LocalServerError(msg)
        yield scores


def score_conversation(
    model: BaseModel,
    template: ChatTemplate,
    messages: Sequence[Mapping[str, Any]],
    *,
    adapter: Path | None,
    context: int,
) -> list[TurnScore] | None:
    """Score one conversation, in one pass over it.

    Args:
        model: The base in memory.
        template: Its chat template.
        messages: The conversation in OpenAI's shape.
        adapter: The folder of an adapter, or `None` for the base itself.
        context: The most tokens that the model can read.

    Returns:
        The scores of its assistant's messages, in order; `None` if it is too long.
    """
    try:
        ids, answers = template.answers(messages, max_length=context)
    except TooLongError:
        return None
    wanted = [
        position
        for answer in answers
        for position in range(answer.start, answer.end + answer.has_end)
    ]
    prices = dict(zip(wanted, model.prices(ids, wanted, adapter), strict=True))
    return [
        TurnScore(
            index=answer.number,
            nll=sum(prices[position] for position in range(answer.start, answer.end)),
            end_nll=prices[answer.end] if answer.has_end else None,
            tokens=answer.end - answer.start,
            size_bytes=answer.size_bytes,
        )
        for answer in answers
    ]
