"""The errors of this package, in one tree.

```
ChatExportError(LangChainException)             everything below; catch this one
├── ExportNotFoundError(…, FileNotFoundError)   no file at the path
├── ExportAccessError(…, PermissionError)       the system refuses access
├── ExportFormatError(…, ValueError)            not an export of the expected format
│   ├── DamagedExportError                      an incomplete or damaged file
│   ├── EncryptedExportError                    an encrypted backup or archive
│   └── UnknownFormatError                      a file of no supported format
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
`.path`. Errors never contain message text, and only `SenderNotFoundError` contains
people's names. Paths and names can contain terminal codes, so messages are escaped.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_core.exceptions import LangChainException

from langchain_chatexports._terminal import escaped, listing
from langchain_chatexports._translation import Sentence

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
    "UnknownFormatError",
]

_MAX_LISTED_SENDERS = 20
_MAX_LISTED_PROBLEMS = 20


class ChatExportError(LangChainException):
    """Base class of this package's errors."""

    path: Path | None = None
    """The file or folder that caused the error, if any."""

    parameters: tuple[str, ...] = ()
    """Names of the parameters to change; a command shows them as its options."""

    def __init__(
        self,
        *args: object,
        path: Path | None = None,
        parameters: Iterable[str] = (),
    ) -> None:
        super().__init__(*args)
        self.path = path
        self.parameters = tuple(parameters)

    def __str__(self) -> str:
        """Return the message with terminal codes escaped."""
        return "\n".join(map(escaped, super().__str__().split("\n")))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the complete message and all attributes."""
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class ExportWarning(UserWarning):
    """A warning about an export or the options to read it."""

    def __init__(
        self,
        message: str,
        *,
        parameters: Iterable[str] = (),
        guess: tuple[str, str] | None = None,
    ) -> None:
        """Initialize the warning.

        Args:
            message: What is so.
            parameters: The parameters that it is about.
            guess: The parameter that corrects a guess, and a value.
        """
        remedy = guess and " If that is wrong, set for example {}={!r}.".format(*guess)
        super().__init__(f"{message}{remedy or ''}")
        self.message = message
        self.guess = guess
        self.parameters = tuple(parameters)


class ExportNotFoundError(ChatExportError, FileNotFoundError):
    """No export exists at the path."""


class ExportAccessError(ChatExportError, PermissionError):
    """The export exists, but permission to read it was denied."""


class ExportFormatError(ChatExportError, ValueError):
    """The file exists, but is not an export of the expected format."""


class DamagedExportError(ExportFormatError):
    """The export is damaged or incomplete, for example after an aborted download."""


class EncryptedExportError(ExportFormatError):
    """The export is encrypted; the message explains how to get a readable copy."""


class UnknownFormatError(ExportFormatError):
    """The file or folder is not an export of any supported format."""


class SenderNotFoundError(ChatExportError, ValueError):
    """No sender matches the given name."""

    senders: dict[str, int]
    """Message counts of the known senders."""

    def __init__(
        self,
        message: str,
        senders: Mapping[str, int] | None = None,
        *,
        parameters: Iterable[str] = (),
    ) -> None:
        self.senders = dict(senders or {})
        if self.senders:
            ranked = sorted(self.senders.items(), key=lambda item: (-item[1], item[0]))
            names = [f"{name!r} ({count})" for name, count in ranked]
            message = Sentence(
                "{message} Senders found: {names}.",
                message=message,
                names=listing(names, _MAX_LISTED_SENDERS),
            )
        super().__init__(message, parameters=parameters)


class MissingExtraError(ChatExportError, ImportError):  # type: ignore[misc] # `ImportError.path` is a str
    """The extra for a feature is not installed."""

    extra: str
    """The extra to install."""

    def __init__(self, feature: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            Sentence(
                "{feature} needs the extra '{extra}'. Install it with: {command}",
                feature=feature,
                extra=extra,
                command=f'pip install "langchain-chatexports[{extra}]"',
            )
        )


class LocalServerError(ChatExportError, RuntimeError):
    """The local server could not start, or stopped."""


class FineTuningError(ChatExportError, RuntimeError):
    """Fine-tuning did not produce a model."""

    job_id: str | None
    """The job on the server, if there is one."""

    status: str | None
    """The job's last known status."""

    def __init__(
        self,
        message: str,
        *,
        job_id: str | None = None,
        status: str | None = None,
        parameters: Iterable[str] = (),
    ) -> None:
        super().__init__(message, parameters=parameters)
        self.job_id = job_id
        self.status = status


class TrainingDataError(FineTuningError):
    """The examples break the rules of the training format; nothing was sent."""

    problems: list[str]
    """One sentence per problem, with line, message index and rule, but without message
    content."""

    def __init__(
        self,
        message: str,
        problems: Iterable[str] = (),
        *,
        parameters: Iterable[str] = (),
    ) -> None:
        self.problems = [str(problem) for problem in problems]
        listed_problems = self.problems[:_MAX_LISTED_PROBLEMS]
        omitted = len(self.problems) - len(listed_problems)
        lines = [message, *(f"  - {problem}" for problem in listed_problems)]
        if omitted > 0:
            lines.append(f"  - … and {omitted} more, in `problems`")
        text = "\n".join(lines) if self.problems else message
        super().__init__(text, parameters=parameters)


class TrainingBudgetError(FineTuningError):
    """The job is over the token limit or was not confirmed; nothing was sent."""


class FileProcessingError(FineTuningError):
    """The server could not process the uploaded file."""


class FineTuningUnavailableError(FineTuningError):
    """The server cannot be reached, or does not let this key fine-tune this model."""


class FineTuningFailedError(FineTuningError):
    """The job ended as failed."""

    code: str | None
    """The server's error code."""

    param: str | None
    """The parameter that caused the error."""

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
    """The wait timed out; the job continues."""


def _rebuild(
    cls: type[ChatExportError], args: tuple[Any, ...], state: dict[str, Any]
) -> ChatExportError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
