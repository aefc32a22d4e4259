"""Steps that transform sessions. Join them with `|`, to any chat loader."""

from langchain_chatexports.chat_loaders.session_source import (
    SessionSource,
    iter_sessions,
)
from langchain_chatexports.steps.base import SessionPipeline, SessionTransform
from langchain_chatexports.steps.chunk_sessions import ChunkSessions
from langchain_chatexports.steps.label_speakers import LabelSpeakers
from langchain_chatexports.steps.map_ai_messages import MapAIMessages
from langchain_chatexports.steps.merge_chat_runs import MergeChatRuns
from langchain_chatexports.steps.redact import Redact
from langchain_chatexports.steps.select_sessions import SelectSessions
from langchain_chatexports.steps.split_sessions import SplitSessions

__all__ = [
    "ChunkSessions",
    "LabelSpeakers",
    "MapAIMessages",
    "MergeChatRuns",
    "Redact",
    "SelectSessions",
    "SessionPipeline",
    "SessionSource",
    "SessionTransform",
    "SplitSessions",
    "iter_sessions",
]
