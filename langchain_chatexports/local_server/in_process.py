"""A server in this process and without a port, for tests and notebooks."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from langchain_chatexports.local_server.http.server import check_extra, open_service
from langchain_chatexports.local_server.settings import ServerSettings


@dataclass(frozen=True)
class InProcessServer:
    """The HTTP client, address and key of a server without a port."""

    http_client: Any = field(repr=False)
    """For `openai.OpenAI(http_client=…)` and `ChatOpenAI(http_client=…)`."""

    base_url: str
    base_model: str
    api_key: str = field(repr=False)


@contextmanager
def serve_in_process(
    settings: ServerSettings | None = None,
) -> Iterator[InProcessServer]:
    """Run a server in this process, reached through an HTTP client without a socket.

    Training still runs in a child process. A stream arrives when it is complete.
    Needs openai 3, whose clients accept this HTTP client.
    """
    check_extra()
    settings = (settings or ServerSettings()).with_absolute_base()
    settings.check()
    from starlette.testclient import TestClient

    from langchain_chatexports.local_server.http.app import create_app

    key = settings.api_key or secrets.token_urlsafe(32)
    with open_service(settings) as service:
        app = create_app(service, api_key=key)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            yield InProcessServer(
                client, "http://127.0.0.1/v1", service.base_model, key
            )
