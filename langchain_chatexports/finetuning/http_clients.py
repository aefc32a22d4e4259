"""HTTP clients that refuse other servers, and answers that are too long.

The SDK's own follow redirects anywhere, with the training text and every header, and
read an answer of any length. Import this where openai may be imported; its httpx is
that of the SDK.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing, suppress
from importlib import import_module
from typing import Any

from openai import (
    DEFAULT_CONNECTION_LIMITS,
    DefaultAsyncHttpxClient,
    DefaultHttpxClient,
    OpenAIError,
)

from langchain_chatexports.exceptions import FineTuningError

__all__ = [
    "AsyncGuardedClient",
    "GuardedClient",
    "RedirectError",
    "UnreadableAnswerError",
    "origin_of",
    "transports",
]

MAX_ANSWER_BYTES = 32 * 2**20

# Decompressed by httpx a chunk at a time, of which each grows to 64 MB at most. Others,
# and several at once, grow by more.
_CODINGS = ("gzip", "deflate")


# The SDK passes its own kind of error on as it is; others it repeats, and hides.
class RedirectError(FineTuningError, OpenAIError):
    """A server redirects to another server."""


class UnreadableAnswerError(OpenAIError):
    """An answer that is not what was asked for, or too long to be it."""


def origin_of(url: Any) -> str:
    """Return scheme, host and port of httpx's URL: nothing that may be secret."""
    port = url.port or {"http": 80, "https": 443}.get(url.scheme, "")
    default = (url.scheme, url.port) in {("http", None), ("https", None)}
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}" if default else f"{url.scheme}://{host}:{port}"


def transports(socket_options: list[Any], proxy: str | None) -> tuple[Any, Any]:
    """Return a sync and an async transport of httpx with socket options."""
    # Which httpx the SDK uses depends on its version: httpx or httpx2.
    httpx = import_module(type(DEFAULT_CONNECTION_LIMITS).__module__)
    options: dict[str, Any] = {
        "socket_options": socket_options,
        "proxy": proxy,
        # Those of the client do not apply to a transport that is given.
        "limits": DEFAULT_CONNECTION_LIMITS,
    }
    return httpx.HTTPTransport(**options), httpx.AsyncHTTPTransport(**options)


class GuardedClient(DefaultHttpxClient):
    """The SDK's sync HTTP client, at one origin, with an end to each answer."""

    def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Send a request, and read its answer unless it is a stream."""
        kwargs.update(stream=True, follow_redirects=False)
        response = super().send(_accepting(request), **kwargs)
        for _ in range(self.max_redirects):
            if response.next_request is None:
                break
            response.close()
            response = super().send(_redirected(request, response), **kwargs)
        if stream:
            return response
        body = bytearray()
        with closing(response):
            for chunk in _readable(response).iter_bytes():
                _add(chunk, body)
        return _read(response, body)

    def __del__(self) -> None:
        """Close the connections of a chat model that nobody closed."""
        if not self.is_closed:
            self.close()


class AsyncGuardedClient(DefaultAsyncHttpxClient):
    """The SDK's async HTTP client, at one origin, with an end to each answer."""

    async def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Send a request, and read its answer unless it is a stream."""
        kwargs.update(stream=True, follow_redirects=False)
        response = await super().send(_accepting(request), **kwargs)
        for _ in range(self.max_redirects):
            if response.next_request is None:
                break
            await response.aclose()
            response = await super().send(_redirected(request, response), **kwargs)
        if stream:
            return response
        body = bytearray()
        async with aclosing(response):
            async for chunk in _readable(response).aiter_bytes():
                _add(chunk, body)
        return _read(response, body)

    def __del__(self) -> None:
        """Close the connections of a chat model that nobody closed."""
        # Without a loop, they went with theirs.
        if not self.is_closed:
            with suppress(RuntimeError):
                self._closing = asyncio.get_running_loop().create_task(self.aclose())


def _accepting(request: Any) -> Any:
    request.headers["Accept-Encoding"] = ", ".join(_CODINGS)
    return request


def _redirected(request: Any, response: Any) -> Any:
    asked, offered = origin_of(request.url), origin_of(response.next_request.url)
    if asked != offered:
        msg = (
            f"{asked} redirects to {offered}. Nothing was sent there, since you have "
            "not named that server: if it is the right one, give its address as "
            "`base_url`."
        )
        raise RedirectError(msg)
    return response.next_request


def _readable(response: Any) -> Any:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in {*_CODINGS, "identity", ""}:
        raise UnreadableAnswerError
    return response


def _add(chunk: bytes, body: bytearray) -> None:
    body += chunk
    if len(body) > MAX_ANSWER_BYTES:
        raise UnreadableAnswerError


def _read(response: Any, body: bytearray) -> Any:
    """Return a response like one that was read, with its body."""
    headers = response.headers.copy()
    for about_the_wire in ("content-encoding", "content-length", "transfer-encoding"):
        headers.pop(about_the_wire, None)
    copy = type(response)(
        response.status_code,
        headers=headers,
        content=bytes(body),
        request=response.request,
        extensions=response.extensions,
    )
    copy.elapsed = response.elapsed
    return copy
