"""Errors in the shape that OpenAI's clients parse."""

import json
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from langchain_chatexports.local_server.processes import frames_of
from langchain_chatexports.local_server.storage.database import is_disk_full

logger = logging.getLogger(__name__)

_SHOWN_FRAMES = 4
_FULL = 507


class JsonResponse(JSONResponse):
    """JSON in ASCII, which can contain any text, even lone surrogates."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class ApiError(HTTPException):
    """A refused request.

    An `HTTPException`, because FastAPI hides other errors while it reads a body.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(status, message)
        self._error = {"message": message, "type": kind, "param": param, "code": code}

    def body(self) -> dict[str, Any]:
        """Return the body of the response."""
        return {"error": self._error}

    def response(self) -> JsonResponse:
        """Return the response."""
        # OpenAI's clients obey it.
        headers = {"x-should-retry": "false"} if self.status_code == _FULL else None
        return JsonResponse(self.body(), status_code=self.status_code, headers=headers)


def not_found(*, kind: str, param: str) -> ApiError:
    """Return a 404 error, which does not repeat the requested id."""
    return ApiError(f"No such {kind}.", status=404, code="not_found", param=param)


def disk_full(message: str) -> ApiError:
    """Return the error for a disk without space."""
    return ApiError(message, status=_FULL, code="disk_full", kind="server_error")


def unexpected_error(error: Exception) -> ApiError:
    """Return the response to an unexpected exception."""
    if is_disk_full(error):
        return disk_full("The disk with the data directory is full. Free some space.")
    msg = "The server had an error while processing your request."
    return ApiError(msg, status=500, code="server_error", kind="server_error")


def log_without_text(error: Exception) -> None:
    """Log where an exception was raised; its text can quote a message."""
    where = " < ".join(frames_of(error, _SHOWN_FRAMES))
    logger.error("%s in %s", type(error).__name__, where)
