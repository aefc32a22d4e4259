"""Errors in the shape that OpenAI's clients parse."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from langchain_chatexports._files import is_full
from langchain_chatexports.local_server.errors import DiskFullError

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

    def response(self) -> JsonResponse:
        """Return the response."""
        # OpenAI's clients read this header.
        is_full_disk = self.status_code == _INSUFFICIENT_STORAGE
        headers = {"x-should-retry": "false"} if is_full_disk else None
        body = {"error": self._error}
        return JsonResponse(body, status_code=self.status_code, headers=headers)


def create_not_found(*, kind: str, param: str) -> ApiError:
    """Create a 404 error that does not repeat the requested id."""
    return ApiError(f"No such {kind}.", status=404, code="not_found", param=param)


def create_invalid_parameter(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """Create the error for an invalid parameter in a body, query or form.

    Names inside a parameter are omitted, because they can be a client's text.
    """
    param = next((str(part) for part in errors[0]["loc"][1:]), None)
    if param is None or errors[0]["type"] == "json_invalid":
        msg = "The body is not a JSON object, or not sent as application/json."
        return ApiError(msg, code="invalid_json")
    # Each member of a union reports its errors, the most general member first.
    last_error = [
        error for error in errors if error["loc"][1:2] == errors[0]["loc"][1:2]
    ][-1]
    msg = f"Invalid value for '{param}': {last_error['msg']}."
    if last_error["type"] == "extra_forbidden" and len(last_error["loc"]) == 2:  # noqa: PLR2004
        msg = "Unrecognized request argument."
    return ApiError(msg, code="invalid_value", param=param)


def convert_unexpected(error: Exception) -> ApiError:
    """Convert an unexpected exception to an API error."""
    if isinstance(error, DiskFullError) or (
        isinstance(error, OSError) and is_full(error)
    ):
        msg = "The disk with the data directory is full. Free some space."
        return ApiError(
            str(error) if isinstance(error, DiskFullError) else msg,
            status=_INSUFFICIENT_STORAGE,
            code="disk_full",
            kind="server_error",
        )
    msg = "The server had an error while processing your request."
    return ApiError(msg, status=500, code="server_error", kind="server_error")
