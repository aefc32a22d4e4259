"""The errors of this package, in one tree.

```
ChatExportError(LangChainException)             everything below; catch this one
├── ExportNotFoundError(…, FileNotFoundError)   no file at the path
├── ExportAccessError(…, PermissionError)       the system refuses access
├── ExportFormatError(…, ValueError)            not an export of the expected format
│   ├── DamagedExportError                      an incomplete or damaged file
│   └── EncryptedExportError                    an encrypted backup or archive
├── SenderNotFoundError(…, ValueError)          unknown name; lists the known senders
├── MissingExtraError(…, ImportError)           names the extra to install
├── LocalServerError(…, RuntimeError)           port taken, second server, base missing
└── FineTuningError(…, RuntimeError)            anything between examples and model
    ├── TrainingDataError                       the examples break the format's rules
    ├── TrainingBudgetError                     over the limit, or not confirmed
    ├── FileProcessingError                     the server could not use the file
    ├── FineTuningUnavailableError              no access, no route, or unknown model
    ├── FineTuningFailedError                   the job ended as failed
    ├── FineTuningCancelledError                the job was cancelled
    └── FineTuningTimeoutError                  the wait ended, the job continues
```

Each is also the builtin error that Python or `langchain-community` would raise, so
existing `except` clauses keep working. An error about a file or folder has it as
`.path`. No error holds message text; only `SenderNotFoundError` holds names of people.
Paths and names can hold terminal codes, so all messages are escaped.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_core.exceptions import LangChainException

from langchain_chatexports._terminal import escaped

__all__ = [
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
]

_MAX_LISTED_SENDERS = 20
_MAX_LISTED_PROBLEMS = 20


class ChatExportError(LangChainException):
    """Base class of every error that this package raises on purpose."""

    path: Path | None = None
    """The file or folder that the error is about, where there is one."""

    def __init__(self, *args: object, path: Path | None = None) -> None:
        super().__init__(*args)
        self.path = path

    def __str__(self) -> str:
        """Return the message with terminal codes escaped."""
        return "\n".join(map(escaped, super().__str__().split("\n")))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the finished message, and all attributes."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class ExportNotFoundError(ChatExportError, FileNotFoundError):
    """There is no export at the given path."""


class ExportAccessError(ChatExportError, PermissionError):
    """The export is there, but the system refuses to read it."""


class ExportFormatError(ChatExportError, ValueError):
    """The file is there, but it is not the kind of export that was expected."""


class DamagedExportError(ExportFormatError):
    """The export's file is damaged or cut off, as by an interrupted download."""


class EncryptedExportError(ExportFormatError):
    """The export is encrypted; the message says how to get a readable copy."""


class SenderNotFoundError(ChatExportError, ValueError):
    """A sender is unknown: the person who should become the AI, or a chosen name.

    Attributes:
        senders: The number of messages of each known sender.
    """

    def __init__(self, message: str, senders: Mapping[str, int] | None = None) -> None:
        self.senders: dict[str, int] = dict(senders or {})
        if self.senders:
            ranked = sorted(self.senders.items(), key=lambda item: (-item[1], item[0]))
            listed = ", ".join(
                f"{name!r} ({count})" for name, count in ranked[:_MAX_LISTED_SENDERS]
            )
            rest = len(ranked) - _MAX_LISTED_SENDERS
            more = f" and {rest} more" if rest > 0 else ""
            message = f"{message} Senders found: {listed}{more}."
        super().__init__(message)


class MissingExtraError(ChatExportError, ImportError):  # type: ignore[misc] # `ImportError.path` is a str
    """An optional part of the package is used without its extra.

    Attributes:
        extra: The extra to install.
    """

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"{feature} needs the extra '{extra}'. Install it with: "
            f'pip install "langchain-chatexports[{extra}]"'
        )


class LocalServerError(ChatExportError, RuntimeError):
    """The local server could not be started, or ended."""


class FineTuningError(ChatExportError, RuntimeError):
    """Fine-tuning did not end in a model.

    Attributes:
        job_id: The job on the server, if there is one.
        status: The job's last known status.
    """

    def __init__(
        self, message: str, *, job_id: str | None = None, status: str | None = None
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.status = status


class TrainingDataError(FineTuningError):
    """The examples break the rules of the training format; nothing was sent.

    Attributes:
        problems: A sentence for each problem, with line, message index and rule, but no
            text.
    """

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        self.problems = [str(problem) for problem in problems]
        shown = self.problems[:_MAX_LISTED_PROBLEMS]
        rest = len(self.problems) - len(shown)
        lines = [message, *(f"  - {problem}" for problem in shown)]
        if rest > 0:
            lines.append(f"  - … and {rest} more, in `problems`")
        super().__init__("\n".join(lines))


class TrainingBudgetError(FineTuningError):
    """The job is over the token limit or was not confirmed; nothing was sent."""


class FileProcessingError(FineTuningError):
    """The server could not use the uploaded file."""


class FineTuningUnavailableError(FineTuningError):
    """The server cannot be reached, or does not let this key fine-tune this model."""


class FineTuningFailedError(FineTuningError):
    """The job ended as failed.

    Attributes:
        code: The server's error code.
        param: The parameter that the server blames.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None = None,
        status: str | None = "failed",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, job_id=job_id, status=status)
        self.code = code
        self.param = param


class FineTuningCancelledError(FineTuningError):
    """The job was cancelled."""


class FineTuningTimeoutError(FineTuningError):
    """The wait ended before the job did; the job continues."""


def _rebuild(
    cls: type[ChatExportError], args: tuple[Any, ...], state: dict[str, Any]
) -> ChatExportError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
