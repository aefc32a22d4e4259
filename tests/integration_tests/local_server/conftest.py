"""Servers in child processes, with the tiny base or the real one."""

import io
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from langchain_chatexports.local_server import LocalServer
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.twins import TWINS

KILLS = int(os.environ.get("CHATEXPORTS_TEST_KILLS", "0"))
"""How often to kill server and trainer: `make kill_tests` says 100, others leave it."""

MAX_SECONDS = 300
"""How long to wait for what takes a second: other programs may have all cores."""

# Plain attention in another order, linear attention, and a decoder that also sees.
_EACH_TIME = {"gemma4", "llama3.2", "qwen3.5"}

UNENDING: Any = {"logit_bias": {"0": -100, "2": -100}}
"""Options of a chat: without its end tokens, the tiny base writes all it may."""


FAMILIES = [
    pytest.param(family, marks=[] if family in _EACH_TIME else pytest.mark.release)
    for family in sorted(TWINS)
]
"""The families of the known bases; most of them are tried before a release."""


@pytest.fixture(scope="session")
def tiny_file(tiny_base: Path) -> Path:
    """The tiny base for llama.cpp: a server that only answers does not import torch."""
    return tiny_base / "tiny.gguf"


@pytest.fixture
def data_dir(tmp_path: Path) -> Any:
    return tmp_path / "data"


@pytest.fixture(scope="session")
def tiny_server(tiny_base: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server for all tests that leave it running.

    Most of what such a test costs is importing torch in another process.
    """
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    with LocalServer(tiny_base, data_dir=data_dir, threads=1) as server:
        yield server


def client_of(server: Any, **options: Any) -> Any:
    options = {"max_retries": 0, "timeout": MAX_SECONDS, **options}
    return openai.OpenAI(base_url=server.base_url, api_key=server.api_key, **options)


def upload(client: Any, examples: Any) -> Any:
    content = io.BytesIO(as_jsonl(examples))
    return client.files.create(file=content, purpose="fine-tune").id


def order_long(client: Any) -> Any:
    """Order a job that trains until it is stopped: of 3,000 steps."""
    return order(client, epochs=50, examples=dialogues(60))


def order(client: Any, *, epochs: Any = 1, examples: Any = None) -> Any:
    """Order a job on ten dialogues: ten steps an epoch."""
    return client.fine_tuning.jobs.create(
        model="tiny",
        training_file=upload(client, examples or dialogues()),
        hyperparameters={"n_epochs": epochs},
    )


def trainers_of(data_dir: Path) -> list[tuple[str, psutil.Process]]:
    """Return the living trainers of a data directory, each with its job's id."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            words = process.info["cmdline"] or []
            if any(word.endswith("local_server.training.trainer") for word in words):
                folder = Path(process.cwd())
                if data_dir in folder.parents:
                    found.append((folder.name, process))
    return found


def wait_for(client: Any, job_id: Any, *wanted: Any) -> Any:
    wanted = wanted or ("succeeded", "failed", "cancelled")
    deadline = time.monotonic() + MAX_SECONDS
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in wanted:
            return job
        assert time.monotonic() < deadline, job.status
        time.sleep(0.1)


def wait_for_step(client: Any, job_id: Any, step: Any) -> Any:
    deadline = time.monotonic() + MAX_SECONDS
    while True:
        events = client.fine_tuning.jobs.list_events(job_id, limit=1).data
        data = events[0].data if events else None
        if isinstance(data, dict) and data.get("step", 0) >= step:
            return
        job = client.fine_tuning.jobs.retrieve(job_id)
        assert job.status in {"queued", "running"}, job.status
        assert time.monotonic() < deadline
        time.sleep(0.05)
