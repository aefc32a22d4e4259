"""HTTP clients that refuse other servers and limit the size and time of responses.

The SDK's own follow redirects anywhere, with the training text and every header, and
read an answer of any length for as long as bytes come. Import this where openai may be
imported; its httpx is that of the SDK.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from openai import (
    DEFAULT_CONNECTION_LIMITS,
    APITimeoutError,
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

# What an answer may take after the deadline: the last look is at the deadline itself.
_MIN_SECONDS = 2.0

_Remaining = Callable[[], float]


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

    def __init__(self, remaining: _Remaining | None = None, **kwargs: Any) -> None:
        """Initialize the client.

        Args:
            remaining: Returns the seconds left until the deadline.
            **kwargs: Arguments of httpx's client.
        """
        super().__init__(**kwargs)
        self._remaining = remaining or (lambda: math.inf)

    def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Send a request, and read its answer unless it is a stream."""
        request.headers["Accept-Encoding"] = ", ".join(_CODINGS)
        kwargs["follow_redirects"] = False
        with self._ends_in_time(request):
            response = super().send(request, stream=True, **kwargs)
            try:
                for _ in range(self.max_redirects):
                    if (redirected := _redirected(request, response)) is None:
                        break
                    response.close()
                    response = super().send(redirected, stream=True, **kwargs)
                if stream:
                    return response
                answer = _Answer(response)
                for chunk in response.iter_bytes():
                    answer.add(chunk)
            except BaseException:
                response.close()
                raise
            response.close()
        return answer.read()

    @contextmanager
    def _ends_in_time(self, request: Any) -> Iterator[None]:
        seconds = _limit(self._remaining())
        if seconds is None:
            yield
            return
        # A timeout of httpx is for each byte: only a closed connection ends them all.
        timer = threading.Timer(seconds, self.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if self.is_closed:
                raise APITimeoutError(request=request) from error
            raise
        finally:
            timer.cancel()

    def __del__(self) -> None:
        """Close the connections of a chat model that nobody closed."""
        if not self.is_closed:
            self.close()


class AsyncGuardedClient(DefaultAsyncHttpxClient):
    """The SDK's async HTTP client, at one origin, with an end to each answer."""

    def __init__(self, remaining: _Remaining | None = None, **kwargs: Any) -> None:
        """Initialize the client; see `GuardedClient`."""
        super().__init__(**kwargs)
        self._remaining = remaining or (lambda: math.inf)

    async def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Send a request, and read its answer unless it is a stream."""
        request.headers["Accept-Encoding"] = ", ".join(_CODINGS)
        kwargs["follow_redirects"] = False
        try:
            return await asyncio.wait_for(
                self._send(request, stream=stream, **kwargs), _limit(self._remaining())
            )
        except asyncio.TimeoutError as error:
            raise APITimeoutError(request=request) from error

    async def _send(self, request: Any, *, stream: bool, **kwargs: Any) -> Any:
        response = await super().send(request, stream=True, **kwargs)
        try:
            for _ in range(self.max_redirects):
                if (redirected := _redirected(request, response)) is None:
                    break
                await response.aclose()
                response = await super().send(redirected, stream=True, **kwargs)
            if stream:
                return response
            answer = _Answer(response)
            async for chunk in response.aiter_bytes():
                answer.add(chunk)
        except BaseException:
            await response.aclose()
            raise
        await response.aclose()
        return answer.read()

    def __del__(self) -> None:
        """Close the connections of a chat model that nobody closed."""
        if self.is_closed:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # Its connections went with their loop.
        self._closing = loop.create_task(self.aclose())


def _limit(remaining: float) -> float | None:
    return None if remaining == math.inf else max(remaining, _MIN_SECONDS)


def _redirected(request: Any, response: Any) -> Any:
    following = response.next_request
    if following is None:
        return None
    asked, offered = origin_of(request.url), origin_of(following.url)
    if asked != offered:
        msg = (
            f"{asked} redirects to {offered}. Nothing was sent there, since you have "
            "not named that server: if it is the right one, give its address as "
            "`base_url`."
        )
        raise RedirectError(msg)
    return following


class _Answer:
    """The body of a response, as far as it may be read."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._chunks: list[bytes] = []
        self._size = 0
        coding = response.headers.get("content-encoding", "identity")
        if coding.strip().lower() not in (*_CODINGS, "identity", ""):
            raise UnreadableAnswerError

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > MAX_ANSWER_BYTES:
            raise UnreadableAnswerError

    def read(self) -> Any:
        """Return a response like the one that was read, with its body."""
        response = self._response
        about_the_wire = {"content-encoding", "content-length", "transfer-encoding"}
        copy = type(response)(
            response.status_code,
            headers=[
                pair
                for pair in response.headers.multi_items()
                if pair[0].lower() not in about_the_wire
            ],
            content=b"".join(self._chunks),
            request=response.request,
            extensions=response.extensions,
        )
        copy.elapsed = response.elapsed
        return copy
