"""Servers in processes of their own, on the tiny base or on the real one."""

from __future__ import annotations

import io
import time

import openai
import pytest

from langchain_chatexports.local_server import LocalServer
from tests.unit_tests.builders.tiny_base import as_jsonl, write_tiny_base


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    return write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def tiny_server(tiny_base, data_dir):
    with LocalServer(tiny_base, data_dir=data_dir, threads=1) as server:
        yield server


def client_of(server, **options):
    options = {"max_retries": 0, "timeout": 60, **options}
    return openai.OpenAI(base_url=server.base_url, api_key=server.api_key, **options)


def upload(client, examples):
    content = io.BytesIO(as_jsonl(examples))
    return client.files.create(file=content, purpose="fine-tune").id


def wait_for(client, job_id, *wanted, seconds=300):
    wanted = wanted or ("succeeded", "failed", "cancelled")
    deadline = time.monotonic() + seconds
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in wanted:
            return job
        assert time.monotonic() < deadline, job.status
        time.sleep(0.1)


def wait_for_step(client, job_id, step, *, seconds=300):
    deadline = time.monotonic() + seconds
    while True:
        events = client.fine_tuning.jobs.list_events(job_id, limit=1).data
        data = events[0].data if events else None
        if isinstance(data, dict) and data.get("step", 0) >= step:
            return
        job = client.fine_tuning.jobs.retrieve(job_id)
        assert job.status in {"queued", "running"}, job.status
        assert time.monotonic() < deadline
        time.sleep(0.05)
