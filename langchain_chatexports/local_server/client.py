"""OpenAI's client for a local server, with its errors as `LocalServerError`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import RunningServer

if TYPE_CHECKING:  # openai takes a second to import.
    from openai import OpenAI

    from langchain_chatexports.local_server.launcher import LocalServer

_TIMEOUT_SECONDS = 30.0


def client_of(
    server: "LocalServer | RunningServer", *, timeout: float = _TIMEOUT_SECONDS
) -> "OpenAI":
    """Return a client for a running server, to be closed or used in `with`."""
    import openai

    return openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, timeout=timeout
    )


@contextmanager
def explained_errors() -> Iterator[None]:
    """Raise a client's errors as `LocalServerError` with the server's explanation."""
    import openai

    try:
        yield
    except openai.OpenAIError as error:
        body = getattr(error, "body", None)
        reason = body.get("message") if isinstance(body, dict) else None
        msg = f"The local server refused: {reason or type(error).__name__}"
        raise LocalServerError(msg) from error
