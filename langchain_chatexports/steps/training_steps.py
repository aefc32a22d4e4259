"""The steps that prepare an export's sessions for training."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias

from langchain_chatexports.steps.base import SessionTransform
from langchain_chatexports.steps.chunk_sessions import ChunkSessions
from langchain_chatexports.steps.label_speakers import LabelSpeakers
from langchain_chatexports.steps.map_ai_messages import MapAIMessages
from langchain_chatexports.steps.merge_chat_runs import MergeChatRuns
from langchain_chatexports.steps.split_sessions import SplitSessions

Gap: TypeAlias = "timedelta | Literal['auto'] | None"
"""The pause that separates two dialogues; see `SplitSessions`. `None` never splits."""


def training_steps(
    mapping_step: SessionTransform | None = None,
    *,
    gap: Gap = "auto",
    size: int = 8,
    overlap: int = 2,
    whole: bool = False,
    keep_tail: bool | None = None,
) -> tuple[SessionTransform, ...]:
    """Return the steps from an export's sessions to the messages of examples.

    Args:
        mapping_step: The step that maps the messages of a person to AI messages, by
            default the owner's.
        gap: The pause at which to split conversations.
        size: The number of messages in a window.
        overlap: The number of messages shared with the previous window.
        whole: Whether to leave out the windows.
        keep_tail: Whether to add a last, shorter window. `None` adds it if
            conversations are split, since their parts are short.
    """
    if keep_tail is None:
        keep_tail = gap is not None
    # An answer shared by two windows is context in the later one.
    windows = ChunkSessions(
        size=size, overlap=overlap, keep_tail=keep_tail, overlap_as_context=True
    )
    return (
        # Split before messages are merged, since runs do not span long pauses.
        *(() if gap is None else (SplitSessions(gap=gap),)),
        MergeChatRuns(),
        mapping_step or MapAIMessages(),
        LabelSpeakers(),
        *(() if whole else (windows,)),
    )
