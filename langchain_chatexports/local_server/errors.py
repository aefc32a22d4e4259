"""Refusals in the shape that OpenAI's clients parse."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

__all__ = ["ApiError", "JsonResponse", "not_found"]


class JsonResponse(Response):
    """JSON in ASCII: whatever a client sent can be told back to it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Give the bytes of the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


class ApiError(Exception):
    """A request is refused."""

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
            param: The parameter to blame.
            kind: OpenAI's `type` of error.
        """
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.kind = kind

    def body(self) -> dict[str, Any]:
        """Give the body of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JsonResponse:
        """Give the answer."""
        headers = {"retry-after": "1"} if self.status == 429 else None  # noqa: PLR2004
        return JsonResponse(self.body(), status_code=self.status, headers=headers)


def not_found(*, kind: str, param: str) -> ApiError:
    """Say that there is no such thing; what was asked for is not repeated."""
    return ApiError(f"No such {kind}.", status=404, code="not_found", param=param)
