"""Negative log-likelihoods of given answers, which OpenAI's protocol does not offer.

To compare models with different tokenizers, use bits per byte of held-out answers:
`(sum(nll) + sum(end_nll)) / ln 2 / sum(size_bytes + 1)`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.chat_template import ChatTemplate
from langchain_chatexports.local_server.engines.transformers import LoadedBase


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
