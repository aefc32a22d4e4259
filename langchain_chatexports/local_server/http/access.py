"""Access control: the address, the API key and the size of each request."""

from __future__ import annotations

import errno
import hmac
import logging
import re
import traceback
from typing import TYPE_CHECKING

from langchain_chatexports.local_server.http.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "MAX_JSON_BYTES",
    "MAX_UPLOAD_BYTES",
    "AccessControl",
    "OwnAddress",
    "log_without_text",
    "unexpected_error",
]

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 8 * 2**20
"""The maximum body of a request, except for uploads."""

MAX_UPLOAD_BYTES = 100 * 2**20
"""The maximum size of an upload."""

# A refused body is read up to this many times the limit: a client that is still
# sending would otherwise see a broken connection instead of the response.
_DRAIN_FACTOR = 4
_SHOWN_FRAMES = 4
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d{1,5})?")
_OWN_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class OwnAddress:
    """The names by which a server on this machine is reached.

    A page of another site that has its name point here (DNS rebinding) sends that name.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        """Initialize the address.

        Args:
            host: The address that the server listens on.
        """
        own = host.lower()
        self._hosts = _OWN_HOSTS | {f"[{own}]" if ":" in own else own}
        # The wildcard address can be reached by any name.
        self._any_host = own in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound.

    def is_host_of(self, scope: Scope) -> bool:
        """Return whether a request has one host, and it is this server's."""
        hosts = _values(scope, b"host")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        return match is not None and (
            self._any_host or match[1].lower().rstrip(".") in self._hosts
        )

    def is_origin_of(self, scope: Scope) -> bool:
        """Return whether a request comes from this server's own pages, or from none."""
        own = [f"http://{host}" for host in _values(scope, b"host")]
        return all(origin in own for origin in _values(scope, b"origin"))


def _values(scope: Scope, header: bytes) -> list[str]:
    headers = scope["headers"]
    return [value.decode("latin-1") for name, value in headers if name == header]


class AccessControl:
    """Middleware that checks host, key and size, and handles all exceptions."""

    def __init__(self, app: ASGIApp, *, api_key: str, host: str = "127.0.0.1") -> None:
        """Initialize the middleware.

        Args:
            app: The application.
            api_key: The key that requests must have.
            host: The address that the server listens on.
        """
        self._app = app
        self._key = api_key.encode("utf-8")
        self._address = OwnAddress(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_and_note(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            self._check(scope)
            limit = _max_body(scope)
            await _refuse_large(scope, receive, limit)
            counted = _counted(receive, limit)
            await self._app(scope, counted, send_and_note)
        except ApiError as error:
            if not has_started:
                await error.response()(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - clients parse OpenAI's errors.
            log_without_text(error)
            if not has_started:
                await unexpected_error(error).response()(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if not self._address.is_host_of(scope):
            msg = "This server only accepts requests to its own address."
            raise ApiError(msg, code="invalid_host")
        given = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, credential = value.partition(b" ")
                if scheme.lower() == b"bearer":
                    given = credential.strip()
        if not hmac.compare_digest(given, self._key):
            msg = (
                "Incorrect API key provided. The server prints its key when it starts."
                if given
                else "You didn't provide an API key: Authorization: Bearer KEY."
            )
            raise ApiError(msg, status=401, code="invalid_api_key")


def _max_body(scope: Scope) -> int:
    is_upload = scope["method"] == "POST" and scope["path"].rstrip("/") == "/v1/files"
    return MAX_UPLOAD_BYTES + 2**16 if is_upload else MAX_JSON_BYTES


async def _refuse_large(scope: Scope, receive: Receive, limit: int) -> None:
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    if not lengths or not lengths[0].isdigit() or int(lengths[0]) <= limit:
        return
    seen = 0
    while seen < min(int(lengths[0]), _DRAIN_FACTOR * limit):
        message = await receive()
        if message["type"] != "http.request":
            break
        seen += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    raise _too_large(limit)


def _counted(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> ApiError:
    msg = f"The body is larger than {limit} bytes."
    return ApiError(msg, code="body_too_large")


def unexpected_error(error: Exception) -> ApiError:
    """Return the response to an unexpected exception."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        msg = "The disk with the data directory is full. Free some space."
        return ApiError(msg, status=507, code="disk_full", kind="server_error")
    msg = "The server had an error while processing your request."
    return ApiError(msg, status=500, code="server_error", kind="server_error")


def log_without_text(error: Exception) -> None:
    """Log where an exception was raised; its text can quote a message."""
    frames = traceback.extract_tb(error.__traceback__)[-_SHOWN_FRAMES:]
    where = " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))
    logger.error("%s in %s", type(error).__name__, where)
