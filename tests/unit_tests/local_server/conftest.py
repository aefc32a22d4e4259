"""A tiny base, a service on it, and OpenAI's own client to ask it, without a port."""

from __future__ import annotations

import time

import openai
import pytest
from starlette.testclient import TestClient

from langchain_chatexports.local_server.app import create_app
from langchain_chatexports.local_server.bases import signature_of
from langchain_chatexports.local_server.service import LocalService
from langchain_chatexports.local_server.storage import DataDirectory
from tests.unit_tests.builders.tiny_base import write_tiny_base

KEY = "a-key-for-tests-only-0123"


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    return write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture(scope="session")
def make_service(tiny_base):
    def make(root, *, base=tiny_base, **options):
        data = DataDirectory(root)
        data.prepare()
        options = {"base": str(base), "base_model": "tiny", **options}
        return LocalService(
            data, base_directory=base, signature=signature_of(base), **options
        )

    return make


@pytest.fixture
def service(make_service, tmp_path):
    made = make_service(tmp_path / "data", aliases={"gpt-3.5-turbo": "tiny"})
    # Jobs stay queued: these tests are about what is accepted.
    made.queue.start = lambda: None
    return made


def asking(service, key=KEY, **options):
    app = create_app(service, api_key=KEY)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return TestClient(app, base_url="http://127.0.0.1", headers=headers, **options)


@pytest.fixture
def http(service):
    with asking(service) as client:
        yield client


def openai_client(http):
    # openai 2 and older starlettes stand on httpx, newer ones on httpx2.
    if not isinstance(http, openai.DefaultHttpxClient.__mro__[1]):
        pytest.skip("openai and starlette of different ages take no common client")
    return openai.OpenAI(
        base_url="http://127.0.0.1/v1", api_key=KEY, http_client=http, max_retries=0
    )


@pytest.fixture
def client(http):
    return openai_client(http)


def wait_for(job_id, client, *, seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in {"succeeded", "failed", "cancelled"}:
            return job
        assert time.monotonic() < deadline, job.status
        time.sleep(0.05)
