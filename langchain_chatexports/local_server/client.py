"""OpenAI's client for a local server, and what it refuses in plain words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_chatexports.exceptions import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import OpenAI

    from langchain_chatexports.local_server.launcher import LocalServer
    from langchain_chatexports.local_server.storage.running import RunningServer

__all__ = ["client_of", "refusals_explained"]

_TIMEOUT_SECONDS = 30.0


def client_of(
    server: LocalServer | RunningServer, *, timeout: float = _TIMEOUT_SECONDS
) -> OpenAI:
    """Return a client for a running server; close it, or use it in `with`.

    Args:
        server: The server.
        timeout: Seconds to wait for an answer; models need more than the default.
    """
    import openai

    return openai.OpenAI(
        base_url=server.base_url, api_key=server.api_key, timeout=timeout
    )


@contextmanager
def refusals_explained() -> Iterator[None]:
    """Turn the errors of a client of a local server into what the server says.

    Raises:
        LocalServerError: In place of the client's errors.
    """
    import openai

    try:
        yield
    except openai.OpenAIError as error:
        said = getattr(error, "body", None)
        reason = said.get("message") if isinstance(said, dict) else None
        msg = f"The local server refused: {reason or type(error).__name__}"
        raise LocalServerError(msg) from error
