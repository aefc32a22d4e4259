"""Errors in the shape that OpenAI's clients parse."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

__all__ = ["ApiError", "JsonResponse", "not_found"]


class JsonResponse(JSONResponse):
    """JSON in ASCII, so that any text of a client can be sent back to it."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class ApiError(HTTPException):
    """A request is refused.

    FastAPI hides other exceptions that are raised while it reads a body.
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
        """Build the refusal.

        Args:
            message: What is wrong, for a person.
            status: The HTTP status.
            code: What is wrong, for a program.
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
    """Return a 404, which does not repeat what was asked for."""
    return ApiError(f"No such {kind}.", status=404, code="not_found", param=param)
