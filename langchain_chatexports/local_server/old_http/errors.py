"""Errors in the shape that OpenAI's clients parse."""

import json
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from langchain_chatexports.local_server.processes import stack_frames
from langchain_chatexports.local_server.storage.database import is_disk_full

logger = logging.getLogger(__name__)

_LOGGED_FRAMES = 4
_INSUFFICIENT_STORAGE = 507


class JsonResponse(JSONResponse):
    """JSON in ASCII, which can represent any text, even lone surrogates."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class ApiError(HTTPException):
    """A rejected request.

    It is an `HTTPException`, because FastAPI replaces others while reading a body.
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
        # OpenAI's clients read this header.
        headers = (
            {"x-should-retry": "false"}
            if self.status_code == _INSUFFICIENT_STORAGE
            else None
        )
        return JsonResponse(self.body(), status_code=self.status_code, headers=headers)


def create_not_found(*, kind: str, param: str) -> ApiError:
    """Create a 404 error that does not repeat the requested id."""
    return ApiError(f"No such {kind}.", status=404, code="not_found", param=param)


def create_disk_full(message: str) -> ApiError:
    """Create the error for a full disk."""
    return ApiError(
        message, status=_INSUFFICIENT_STORAGE, code="disk_full", kind="server_error"
    )


def convert_unexpected(error: Exception) -> ApiError:
    """Convert an unexpected exception to an API error."""
    if is_disk_full(error):
        return create_disk_full(
            "The disk with the data directory is full. Free some space."
        )
    msg = "The server had an error while processing your request."
    return ApiError(msg, status=500, code="server_error", kind="server_error")


def log_error_location(error: Exception) -> None:
    """Log where an exception was raised, without its message, which can quote chats."""
    location = " < ".join(stack_frames(error, _LOGGED_FRAMES))
    logger.error("%s in %s", type(error).__name__, location)
