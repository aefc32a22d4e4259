"""Errors in the shape that OpenAI's clients parse."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from langchain_chatexports._files import is_full
from langchain_chatexports.local_server.errors import DiskFullError, RequestError

_INSUFFICIENT_STORAGE = 507


class JsonResponse(JSONResponse):
    """JSON in ASCII, which can represent any text, even lone surrogates."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def error_response(error: RequestError) -> Response:
    """Return the response to a rejected request."""
    # OpenAI's clients read this header.
    is_full_disk = error.status == _INSUFFICIENT_STORAGE
    headers = {"x-should-retry": "false"} if is_full_disk else None
    return Response(error.body, error.status, headers, "application/json")


def create_not_found(*, kind: str, param: str) -> RequestError:
    """Create a 404 error that does not repeat the requested id."""
    return RequestError(f"No such {kind}.", status=404, code="not_found", param=param)


def create_invalid_parameter(errors: Sequence[Mapping[str, Any]]) -> RequestError:
    """Create the error for an invalid parameter in a body, query or form.

    Names inside a parameter are omitted, because they can be a client's text.
    """
    param = next((str(part) for part in errors[0]["loc"][1:]), None)
    if param is None or errors[0]["type"] == "json_invalid":
        msg = "The body is not a JSON object, or not sent as application/json."
        return RequestError(msg, code="invalid_json")
    # Each member of a union reports its errors, the most general member first.
    last_error = [
        error for error in errors if error["loc"][1:2] == errors[0]["loc"][1:2]
    ][-1]
    msg = f"Invalid value for '{param}': {last_error['msg']}."
    if last_error["type"] == "extra_forbidden" and len(last_error["loc"]) == 2:  # noqa: PLR2004
        msg = "Unrecognized request argument."
    return RequestError(msg, code="invalid_value", param=param)


def convert_unexpected(error: Exception) -> RequestError:
    """Convert an unexpected exception to an API error."""
    if isinstance(error, DiskFullError) or (
        isinstance(error, OSError) and is_full(error)
    ):
        msg = "The disk with the data directory is full. Free some space."
        return RequestError(
            str(error) if isinstance(error, DiskFullError) else msg,
            status=_INSUFFICIENT_STORAGE,
            code="disk_full",
        )
    msg = "The server had an error while processing your request."
    return RequestError(msg, status=500, code="server_error")
