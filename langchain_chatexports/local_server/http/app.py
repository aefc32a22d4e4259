"""The ASGI application: the routes, with checks of host, key and size."""

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langchain_chatexports._serving import log_error_location
from langchain_chatexports.local_server.bases.base import Base
from langchain_chatexports.local_server.engines.engine import Engine
from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.http.errors import (
    convert_unexpected,
    create_invalid_parameter,
    error_response,
)
from langchain_chatexports.local_server.http.routes import Api, router
from langchain_chatexports.local_server.workspace import Workspace

MAX_JSON_BYTES = 8 * 2**20
"""The maximum body of a request, except for uploads."""

MAX_UPLOAD_BYTES = 100 * 2**20
"""The maximum size of an upload."""

_FORM_BYTES = 2**16
# A website whose name resolves to this machine (DNS rebinding) sends its own name.
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "[::1]")
_MESSAGES = {404: "Unknown request URL.", 405: "Method not allowed."}


def create_app(
    workspace: Workspace,
    base: Base,
    engine: Engine,
    *,
    api_key: str,
    aliases: Sequence[str] = (),
) -> FastAPI:
    """Create the application of a base.

    Args:
        workspace: The jobs, models and files.
        base: What jobs train, and requests name.
        engine: What answers; it is closed when the application stops.
        api_key: The key that requests need.
        aliases: Other names of the base.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await engine.aclose()

    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            HTTPException: _on_http_error,
            RequestValidationError: _on_invalid_parameter,
            RequestError: _on_request_error,
        },
    )
    app.state.api = Api(workspace, base, engine, tuple(sorted(aliases)))
    app.include_router(router, prefix="/v1")
    app.add_middleware(_RequestGuard, api_key=api_key)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_LOCAL_HOSTS)
    return app


class _RequestGuard:
    """Middleware that checks key and body size, and handles exceptions."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._key = api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_upload = scope["method"] == "POST" and scope["path"] == "/v1/files"
        limit = MAX_UPLOAD_BYTES + _FORM_BYTES if is_upload else MAX_JSON_BYTES
        size = 0
        has_started = False

        async def receive_limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            _check_size(size, limit)
            return message

        async def send_tracked(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        try:
            self._check_key(headers.get("authorization", ""))
            _check_size(int(length) if length.isdecimal() else 0, limit)
            await self._app(scope, receive_limited, send_tracked)
        except Exception as error:  # noqa: BLE001 - clients parse OpenAI's errors.
            if not isinstance(error, RequestError):
                log_error_location(error)
                error = convert_unexpected(error)
            if not has_started:
                await error_response(error)(scope, receive, send)

    def _check_key(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        token = key.strip().encode() if scheme.lower() == "bearer" else b""
        if not hmac.compare_digest(token, self._key):
            msg = (
                "Incorrect API key provided. The server prints its key when it starts."
                if token
                else "You didn't provide an API key (Authorization: Bearer KEY)."
            )
            raise RequestError(msg, status=401, code="invalid_api_key")


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        msg = f"The body is larger than {limit} bytes."
        raise RequestError(msg, code="body_too_large")


async def _on_http_error(_: Request, error: Any) -> Response:
    if isinstance(error.__cause__, RequestError):  # While reading a body.
        return error_response(error.__cause__)
    default = "The body is not valid JSON, or nested too deeply."
    msg = _MESSAGES.get(error.status_code, default)
    status = error.status_code
    return error_response(RequestError(msg, status=status, code="invalid_request"))


async def _on_invalid_parameter(_: Request, error: Any) -> Response:
    # FastAPI would respond with 422.
    return error_response(create_invalid_parameter(error.errors()))


async def _on_request_error(_: Request, error: Any) -> Response:
    return error_response(error)
