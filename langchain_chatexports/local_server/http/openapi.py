"""The server's OpenAPI description, which FastAPI generates from the routes."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.utils import get_openapi

from langchain_chatexports._version import __version__
from langchain_chatexports.local_server.http.routes import router

__all__ = ["describe_api"]


def describe_api(base_url: str = "http://127.0.0.1/v1") -> dict[str, Any]:
    """Return the routes of a local server as an OpenAPI description.

    Args:
        base_url: The server's address, with `/v1`.

    Returns:
        The description, in JSON types.
    """
    description = get_openapi(
        title="langchain-chatexports local server",
        version=__version__,
        routes=router.routes,
        servers=[{"url": base_url}],
    )
    # `AccessControl` checks the key, not the routes.
    description["security"] = [{"key": []}]
    components = description["components"]
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    # FastAPI describes its own 422 response; here it is a 400.
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    for path in description["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    return description
