"""The ASGI application: routes, error responses and access control."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from langchain_chatexports.local_server.http.access import (
    AccessControl,
    unexpected_error,
)
from langchain_chatexports.local_server.http.errors import ApiError, JsonResponse
from langchain_chatexports.local_server.http.openapi import describe_api
from langchain_chatexports.local_server.http.requests import invalid_parameter
from langchain_chatexports.local_server.http.routes import router

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response
    from starlette.types import ASGIApp

    from langchain_chatexports.local_server.http.service import LocalService

__all__ = ["create_app"]


def create_app(
    service: LocalService, *, api_key: str, host: str = "127.0.0.1"
) -> ASGIApp:
    """Return the application of a service, which it starts and stops.

    Args:
        service: The files, jobs, models and engine.
        api_key: The key that requests must have.
        host: The address that the server listens on.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        yield
        await run_in_threadpool(service.stop)

    app = FastAPI(
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            ApiError: _on_api_error,
            HTTPException: _on_http_error,
            RequestValidationError: _on_invalid_parameter,
            Exception: _on_unexpected_error,
        },
    )
    app.state.service = service
    app.include_router(router, prefix="/v1")

    @app.get("/v1/openapi.json")
    def describe(request: Request) -> Any:
        return JsonResponse(describe_api(f"{request.base_url}v1"))

    return AccessControl(app, api_key=api_key, host=host)


async def _on_api_error(_: Request, error: ApiError) -> Response:
    return error.response()


async def _on_http_error(_: Request, error: HTTPException) -> Response:
    msg = {
        404: "Unknown request URL.",
        405: "Method not allowed.",
    }.get(error.status_code, "The body of the request cannot be read.")
    return ApiError(msg, status=error.status_code, code="invalid_request").response()


async def _on_invalid_parameter(_: Request, error: RequestValidationError) -> Response:
    # Instead of FastAPI's 422. `parse_body` validates bodies.
    return invalid_parameter(error.errors()[0]).response()


async def _on_unexpected_error(_: Request, error: Exception) -> Response:
    # `AccessControl` logs it.
    return unexpected_error(error).response()
