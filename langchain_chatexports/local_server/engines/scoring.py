"""Negative log-likelihoods of given answers, which OpenAI's protocol does not offer.

To compare models with different tokenizers, use bits per byte of held-out answers:
`(sum(nll) + sum(end_nll)) / ln 2 / sum(size_bytes + 1)`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    TooLongError,
)
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.local_server.bases.preparation import prepare_base
from langchain_chatexports.local_server.bases.tokenizer import load_tokenizer
from langchain_chatexports.local_server.engines.transformers import LoadedBase
from langchain_chatexports.local_server.processes import default_threads


@dataclass(frozen=True)
class TurnScore:
    """The negative log-likelihood of one assistant message."""

    index: int
    """The index of the message in the conversation."""

    nll: float
    """Negative log-likelihood of its text, in nats."""

    end_nll: float
    """Negative log-likelihood of the token that ends the turn, in nats."""

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
        threads: The number of CPU threads; `None` for all cores but one.

    Yields:
        The scores of the assistant's messages in each conversation, in order.

    Raises:
        LocalServerError: If the base is missing, or a conversation is too long.
    """
    directory = prepare_base(describe_base(base))
    tokenizer, context = load_tokenizer(directory)
    template = ChatTemplate(tokenizer)
    try:
        model = LoadedBase(directory, threads=threads or default_threads())
    except (LocalServerError, MemoryError):
        raise
    except Exception as error:
        msg = (
            f"The weights in {directory} cannot be loaded ({type(error).__name__}): "
            "they are damaged, do not match config.json, or there is too little memory."
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
    try:
        ids, spans = template.answer_spans(messages, max_length=context)
    except TooLongError:
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
