"""Turn your message exports into a chat model in LangChain.

```python
from langchain_chatexports import IMessageChatLoader, MapAIMessages, MergeChatRuns

loader = IMessageChatLoader(path="chat.db") | MergeChatRuns() | MapAIMessages()
```

Public names are imported on first use, so importing the package imports neither openai
nor the libraries of an extra. Errors are in `langchain_chatexports.exceptions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_chatexports._lazy import lazy_names
from langchain_chatexports._version import __version__

if TYPE_CHECKING:
    from langchain_chatexports.adapters.openai import convert_messages_for_finetuning
    from langchain_chatexports.chat_loaders.base import ChatExportLoader
    from langchain_chatexports.chat_loaders.chatlab import ChatLabChatLoader
    from langchain_chatexports.chat_loaders.counts import ExportSummary
    from langchain_chatexports.chat_loaders.discord import DiscordChatLoader
    from langchain_chatexports.chat_loaders.facebook_messenger import (
        FolderFacebookMessengerChatLoader,
        SingleFileFacebookMessengerChatLoader,
    )
    from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
    from langchain_chatexports.chat_loaders.kakaotalk import KakaoTalkChatLoader
    from langchain_chatexports.chat_loaders.line import LineChatLoader
    from langchain_chatexports.chat_loaders.mail import EmailChatLoader
    from langchain_chatexports.chat_loaders.schema import (
        ExportSession,
        MessageKeys,
        SessionMetadata,
    )
    from langchain_chatexports.chat_loaders.signal import SignalChatLoader
    from langchain_chatexports.chat_loaders.skype import SkypeChatLoader
    from langchain_chatexports.chat_loaders.slack import SlackChatLoader
    from langchain_chatexports.chat_loaders.sms import SmsChatLoader
    from langchain_chatexports.chat_loaders.table import TableChatLoader
    from langchain_chatexports.chat_loaders.telegram import TelegramChatLoader
    from langchain_chatexports.chat_loaders.utils import (
        map_ai_messages,
        merge_chat_runs,
    )
    from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
    from langchain_chatexports.datasets.examples import to_training_examples
    from langchain_chatexports.datasets.jsonl import write_jsonl
    from langchain_chatexports.datasets.validation import validate_examples
    from langchain_chatexports.exceptions import *  # noqa: F403 - it lists its names
    from langchain_chatexports.finetuning.run import FineTuningRun
    from langchain_chatexports.finetuning.tuner import ChatFineTuner
    from langchain_chatexports.local_server import LocalServer
    from langchain_chatexports.retrieval.documents import sessions_to_documents
    from langchain_chatexports.retrieval.retriever import ChatExportRetriever
    from langchain_chatexports.steps import (
        ChunkSessions,
        LabelSpeakers,
        MapAIMessages,
        MergeChatRuns,
        Redact,
        SelectSessions,
        SessionPipeline,
        SessionTransform,
        SplitSessions,
    )

__all__ = [
    "ChatExportError",  # noqa: F405 - as above
    "ChatExportLoader",
    "ChatExportRetriever",
    "ChatFineTuner",
    "ChatLabChatLoader",
    "ChunkSessions",
    "DiscordChatLoader",
    "EmailChatLoader",
    "ExportSession",
    "ExportSummary",
    "FineTuningRun",
    "FolderFacebookMessengerChatLoader",
    "IMessageChatLoader",
    "KakaoTalkChatLoader",
    "LabelSpeakers",
    "LineChatLoader",
    "LocalServer",
    "MapAIMessages",
    "MergeChatRuns",
    "MessageKeys",
    "Redact",
    "SelectSessions",
    "SessionMetadata",
    "SessionPipeline",
    "SessionTransform",
    "SignalChatLoader",
    "SingleFileFacebookMessengerChatLoader",
    "SkypeChatLoader",
    "SlackChatLoader",
    "SmsChatLoader",
    "SplitSessions",
    "TableChatLoader",
    "TelegramChatLoader",
    "WhatsAppChatLoader",
    "__version__",
    "convert_messages_for_finetuning",
    "map_ai_messages",
    "merge_chat_runs",
    "sessions_to_documents",
    "to_training_examples",
    "validate_examples",
    "write_jsonl",
]

_MODULES = {
    "adapters.openai": ("convert_messages_for_finetuning",),
    "chat_loaders.base": ("ChatExportLoader",),
    "chat_loaders.discord": ("DiscordChatLoader",),
    "chat_loaders.facebook_messenger": (
        "FolderFacebookMessengerChatLoader",
        "SingleFileFacebookMessengerChatLoader",
    ),
    "chat_loaders.imessage": ("IMessageChatLoader",),
    "chat_loaders.counts": ("ExportSummary",),
    "chat_loaders.schema": ("ExportSession", "MessageKeys", "SessionMetadata"),
    "chat_loaders.signal": ("SignalChatLoader",),
    "chat_loaders.slack": ("SlackChatLoader",),
    "chat_loaders.sms": ("SmsChatLoader",),
    "chat_loaders.chatlab": ("ChatLabChatLoader",),
    "chat_loaders.kakaotalk": ("KakaoTalkChatLoader",),
    "chat_loaders.line": ("LineChatLoader",),
    "chat_loaders.skype": ("SkypeChatLoader",),
    "chat_loaders.mail": ("EmailChatLoader",),
    "chat_loaders.table": ("TableChatLoader",),
    "chat_loaders.telegram": ("TelegramChatLoader",),
    "chat_loaders.utils": ("map_ai_messages", "merge_chat_runs"),
    "chat_loaders.whatsapp": ("WhatsAppChatLoader",),
    "datasets.examples": ("to_training_examples",),
    "datasets.jsonl": ("write_jsonl",),
    "datasets.validation": ("validate_examples",),
    "exceptions": (
        "ChatExportError",
        "DamagedExportError",
        "EncryptedExportError",
        "ExportAccessError",
        "ExportFormatError",
        "ExportNotFoundError",
        "FileProcessingError",
        "FineTuningCancelledError",
        "FineTuningError",
        "FineTuningFailedError",
        "FineTuningTimeoutError",
        "FineTuningUnavailableError",
        "LocalServerError",
        "MissingExtraError",
        "SenderNotFoundError",
        "TrainingBudgetError",
        "TrainingDataError",
        "UnknownFormatError",
    ),
    "finetuning.run": ("FineTuningRun",),
    "finetuning.tuner": ("ChatFineTuner",),
    "local_server": ("LocalServer",),
    "retrieval.documents": ("sessions_to_documents",),
    "retrieval.retriever": ("ChatExportRetriever",),
    "steps": (
        "ChunkSessions",
        "LabelSpeakers",
        "MapAIMessages",
        "MergeChatRuns",
        "Redact",
        "SelectSessions",
        "SessionPipeline",
        "SessionTransform",
        "SplitSessions",
    ),
}

# Their names are not offered here; an import says where they are.
_ROOMS = (
    *("personas", "retrieval", "datasets", "steps", "chat_loaders", "evaluation"),
    *("report", "redaction", "samples", "local_server", "workflows"),
)

__getattr__, __dir__ = lazy_names(__name__, _MODULES, _ROOMS)
