"""OpenAI's client for a local server; its errors become `LocalServerError`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import RunningServer

if TYPE_CHECKING:  # openai takes a second to import.
    from openai import OpenAI

    from langchain_chatexports.local_server.launcher import LocalServer

_TIMEOUT_SECONDS = 30.0


def open_client(
    server: "LocalServer | RunningServer", *, timeout: float = _TIMEOUT_SECONDS
) -> "OpenAI":
    """Create a client for a running server; close it, or use `with`."""
    import openai

    return openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, timeout=timeout
    )


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise a client's errors as `LocalServerError` with the server's explanation."""
    import openai

    try:
        yield
    except openai.OpenAIError as error:
        body = getattr(error, "body", None)
        reason = body.get("message") if isinstance(body, dict) else None
        msg = f"The local server rejected the request: {reason or type(error).__name__}"
        raise LocalServerError(msg) from error
