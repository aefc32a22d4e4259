"""What can go wrong, as classes; those of a training give a job's error its code."""

import json
from collections.abc import Sequence
from typing import ClassVar

from langchain_chatexports.exceptions import LocalServerError

_SERVER_ERROR = 500


class DataDirectoryError(LocalServerError):
    """A data directory cannot be used: not ours, not writable, of another version."""


class DiskFullError(LocalServerError):
    """The disk with the data directory is full."""

    code: ClassVar = "disk_full"


class NoConnectionError(LocalServerError):
    """A base must be downloaded, and the hub cannot be reached."""

    code: ClassVar = "no_connection"


class NotFoundError(LocalServerError):
    """There is no such job, model or file."""


class StateError(LocalServerError):
    """A job, model or file is in a state that does not allow the change."""


class TrainingError(LocalServerError):
    """A training cannot succeed; the message, which the job shows, quotes no chat."""

    code: ClassVar = "training_failed"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """Initialize the error with the parameter of the job that it is about."""
        super().__init__(message)
        self.param = param


class InvalidExamplesError(TrainingError):
    """Examples break a rule; each problem names a line and the rule."""

    code: ClassVar = "invalid_training_file"

    def __init__(
        self, problems: Sequence[str], *, param: str = "training_file"
    ) -> None:
        """Initialize the error with problems in the file of a parameter."""
        file = param.replace("_", " ")
        super().__init__(f"The {file} is invalid: {'; '.join(problems)}.", param=param)


class OutOfMemoryError(TrainingError):
    """The memory of the machine, or of its GPU, is too small."""

    code: ClassVar = "out_of_memory"


class BaseMissingError(TrainingError):
    """The base of a job is gone, incomplete or cannot be trained."""

    code: ClassVar = "base_missing"


def describe_missing(path: object) -> str:
    """Return the message for a base that was deleted while it was used."""
    return f"{path} is missing. Restore it, or choose another base."


class RequestError(Exception):
    """A request without a result, as the response in OpenAI's shape describes it."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        """Initialize the error with the fields of OpenAI's errors."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def body(self) -> bytes:
        """The body of the response, in ASCII, which can represent any text."""
        kind = (
            "invalid_request_error" if self.status < _SERVER_ERROR else "server_error"
        )
        error = {"message": str(self), "type": kind, "param": self.param}
        return json.dumps({"error": {**error, "code": self.code}}).encode("ascii")
