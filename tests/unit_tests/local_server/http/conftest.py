"""A workspace, and clients of its application without a port."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI
from starlette.testclient import TestClient

from langchain_chatexports.local_server.bases.base import Base
from langchain_chatexports.local_server.http.app import create_app
from langchain_chatexports.local_server.testing import EchoEngine
from langchain_chatexports.local_server.workspace import Workspace

KEY = "a-key-for-tests-only-0123"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("workspace") / "data")


@pytest.fixture(autouse=True)
def empty(workspace: Workspace) -> None:
    workspace.delete_everything()


@pytest.fixture(scope="module")
def http(workspace: Workspace) -> Iterator[TestClient]:
    with open_http(workspace) as client:
        yield client


def open_http(workspace: Workspace, key: str | None = KEY) -> TestClient:
    base = Base("path/tiny", "tiny", "directory", Path("tiny"))
    app = create_app(
        workspace, base, EchoEngine(), api_key=KEY, aliases=["gpt-3.5-turbo"]
    )
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return TestClient(app, base_url="http://127.0.0.1", headers=headers)


@pytest.fixture(scope="module")
def client(http: TestClient) -> OpenAI:
    # openai 2 and older starlettes use httpx, newer ones httpx2.
    if not isinstance(http, openai.DefaultHttpxClient.__mro__[1]):
        pytest.skip("openai and starlette use different releases of httpx")
    return openai.OpenAI(
        base_url="http://127.0.0.1/v1", api_key=KEY, http_client=http, max_retries=0
    )
