"""Errors in the shape that OpenAI's clients parse."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

__all__ = ["ApiError", "JsonResponse", "not_found"]


class JsonResponse(JSONResponse):
    """JSON in ASCII, which can contain any text, even lone surrogates."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class ApiError(HTTPException):
    """A refused request.

    It is an `HTTPException` because FastAPI hides others while it reads a body.
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
        """Initialize the error.

        Args:
            message: What is wrong, for people.
            status: The HTTP status.
            code: What is wrong, for programs.
            param: The parameter that is wrong.
            kind: OpenAI's `type` of error.
        """
        super().__init__(status, message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.kind = kind

    def body(self) -> dict[str, Any]:
        """Return the body of the response."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JsonResponse:
        """Return the response."""
        headers = {"retry-after": "1"} if self.status == 429 else None  # noqa: PLR2004
        return JsonResponse(self.body(), status_code=self.status, headers=headers)


def not_found(*, kind: str, param: str) -> ApiError:
    """Return a 404 error, which does not repeat the requested id."""
    return ApiError(f"No such {kind}.", status=404, code="not_found", param=param)
