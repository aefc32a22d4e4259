"""Errors in the page's own sentences, with folded details."""

from errno import ENOSPC
from typing import NamedTuple

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
from langchain_chatexports.page.languages import LanguageName, Sentence, later
from langchain_chatexports.workflows.bases import NoBaseError


class Failure(NamedTuple):
    sentence: Sentence
    details: str = ""
    """The error's own message, in English, if it has no message text."""


class PageError(ChatExportError):
    """An error of the page itself, with its remedy."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(sentence.one)
        self.sentence = sentence


FULL_DISK = "The disk with"
"""The beginning of the library's messages about a full disk."""

DISK_FULL = later("The disk is full, or nearly so: free some space, and try again.")
# The first match is used.
_SENTENCES: dict[type[Exception], Sentence] = {
    EncryptedExportError: later(
        "This export is encrypted. Export it again without a password, and add the "
        "new one."
    ),
    DamagedExportError: later(
        "This file is damaged or incomplete: its download or copy was probably "
        "interrupted. Download or copy it again, and add it."
    ),
    ExportNotFoundError: later(
        "There is nothing at this path. It may have been moved or renamed."
    ),
    ExportAccessError: later(
        "The system does not let this page read it. On a Mac, allow it in System "
        "Settings, Privacy & Security, Full Disk Access, for the program in whose "
        "window chatexports open runs; then restart that program."
    ),
    ExportFormatError: later(
        "No export was recognized in it. How to get one is described above, under "
        "How do I get an export?"
    ),
    SenderNotFoundError: later("Nobody with this name was found."),
    TrainingDataError: later(
        "There is too little to learn from, or to compare with. Choose more chats."
    ),
    LocalServerError: later(
        "This did not work with the models of this machine. If memory may not be "
        "enough, close other programs, and try it again."
    ),
    FineTuningError: later("The training did not work."),
    ChatExportError: later("This did not work."),
    OSError: later(
        "The system refused it: the disk may be full, or the folder protected."
    ),
    Exception: later(
        "Something unexpected went wrong. The window where chatexports open runs says "
        "where: please report it."
    ),
}


def explain(error: Exception) -> Failure:
    """Return the page's sentence about an error, and its own message."""
    if isinstance(error, PageError):
        return Failure(error.sentence)
    if isinstance(error, NoBaseError):
        return Failure(_no_base_text(error))
    if getattr(error, "errno", None) == ENOSPC or FULL_DISK in str(error):
        return Failure(DISK_FULL)
    sentence = next(s for kind, s in _SENTENCES.items() if isinstance(error, kind))
    name = type(error).__name__
    if isinstance(error, ChatExportError):
        return Failure(sentence, str(error))
    # The text of any other error may quote a message.
    reason = error.strerror if isinstance(error, OSError) else None
    return Failure(sentence, reason or name)


def _no_base_text(error: NoBaseError) -> Sentence:
    language = LanguageName(error.language)
    if error.can_download:
        return later(
            "No base model on this machine speaks {language}: one must be downloaded.",
            language=language,
        )
    return later(
        "No base model that speaks {language} fits into this machine's memory.",
        language=language,
    )
