"""Translated error messages, with the original message as details."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from langchain_chatexports._files import is_full
from langchain_chatexports._serving import log_error_location
from langchain_chatexports.exceptions import (
    ChatExportError,
    DamagedExportError,
    EncryptedExportError,
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
    FineTuningError,
    LocalServerError,
    SenderNotFoundError,
    TrainingDataError,
)
from langchain_chatexports.local_server import (
    DataDirectoryError,
    DiskFullError,
    NoBaseError,
    NoConnectionError,
    NotFoundError,
    OutOfMemoryError,
    StateError,
    TrainingError,
)
from langchain_chatexports.page.languages import LanguageName, LazyMessage, lazy_gettext


class Failure(NamedTuple):
    message: LazyMessage
    details: str = ""
    """The error's own message, in English, if it cannot quote chats."""


class PageError(ChatExportError):
    def __init__(self, message: LazyMessage) -> None:
        super().__init__(message.singular)
        self.translated = message


_DISK_FULL = lazy_gettext(
    "The disk is full or almost full. Free some space, and try again."
)
_NO_MEMORY = lazy_gettext(
    "The model stopped. The computer may have too little free memory: close other "
    "programs, and try again."
)
_NO_CONNECTION = lazy_gettext(
    "This computer has no connection to huggingface.co, where the language models are. "
    "Check the internet connection, and try again."
)
_NO_BASE = lazy_gettext(
    "No language model that speaks {language} fits into this computer's memory."
)
_TRAINING_FAILED = lazy_gettext("Training failed.")
_FAILED = lazy_gettext("Something went wrong.")
# By the code of a job's error.
_FAILURES = {
    DiskFullError.code: _DISK_FULL,
    OutOfMemoryError.code: _NO_MEMORY,
    "trainer_ended": _NO_MEMORY,
}
# The first match is used.
_MESSAGES: dict[type[Exception], LazyMessage] = {
    EncryptedExportError: lazy_gettext(
        "This file is encrypted. Export the chats again without a password, and add "
        "the new file."
    ),
    DamagedExportError: lazy_gettext(
        "This file is damaged or incomplete: its download or copy was probably "
        "interrupted. Download or copy it again, and add it."
    ),
    ExportNotFoundError: lazy_gettext(
        "There is no such file or folder. It may have been moved or renamed."
    ),
    ExportAccessError: lazy_gettext(
        "The system does not allow this page to read it. On a Mac, open System "
        "Settings, Privacy & Security, Full Disk Access, and allow the program that "
        "opened this page; then start that program again."
    ),
    ExportFormatError: lazy_gettext("This does not look like a chat."),
    SenderNotFoundError: lazy_gettext("No person has this name."),
    TrainingDataError: lazy_gettext(
        "Too few messages to train on, or to compare with. Choose more chats."
    ),
    DiskFullError: _DISK_FULL,
    NoConnectionError: _NO_CONNECTION,
    DataDirectoryError: _FAILED,
    NotFoundError: _FAILED,
    StateError: _FAILED,
    OutOfMemoryError: _NO_MEMORY,
    TrainingError: _TRAINING_FAILED,
    LocalServerError: _NO_MEMORY,
    FineTuningError: _TRAINING_FAILED,
    ChatExportError: _FAILED,
    OSError: lazy_gettext(
        "The system refused access: the disk may be full, or the folder protected."
    ),
    Exception: lazy_gettext(
        "An unexpected error occurred. Please report it, with the details below."
    ),
}


def translate_error(error: Exception) -> Failure:
    """Translate an error for the page, with details; log one that is unexpected."""
    if isinstance(error, PageError):
        return Failure(error.translated)
    if isinstance(error, NoBaseError):
        language = LanguageName(error.language)
        return Failure(replace(_NO_BASE, values={"language": language}))
    # A write error has the system's error as its cause.
    if any(isinstance(e, OSError) and is_full(e) for e in (error, error.__cause__)):
        return Failure(_DISK_FULL)
    message = next(m for kind, m in _MESSAGES.items() if isinstance(error, kind))
    name = type(error).__name__
    if isinstance(error, ChatExportError):
        return Failure(message, str(error))
    # Messages of other errors may quote chats.
    if isinstance(error, OSError):
        return Failure(message, error.strerror or name)
    log_error_location(error)
    return Failure(message, name)


def translate_reply_error(error: Exception) -> Failure:
    """Translate an error of an answer; a model whose process ended has stopped."""
    import httpx
    from openai import APIConnectionError, InternalServerError

    # Before an answer, it is the cause of a `ChatExportError`.
    lost = httpx.TransportError, APIConnectionError, InternalServerError
    if isinstance(error, lost) or isinstance(error.__cause__, lost):
        return Failure(_NO_MEMORY)
    return translate_error(error)


def translate_job_error(error: Mapping[str, Any] | None) -> Failure:
    error = error or {}
    message = _FAILURES.get(str(error.get("code")), _TRAINING_FAILED)
    return Failure(message, str(error.get("message") or ""))
