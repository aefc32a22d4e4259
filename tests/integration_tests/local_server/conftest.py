"""Servers in this process and in others, with the tiny base or the real one."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from langchain_chatexports.local_server import LocalServer
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.tiny_models import TINY_MODELS
from tests.unit_tests.builders.waiting import wait_until

KILLS = int(os.environ.get("CHATEXPORTS_TEST_KILLS", "0"))
"""The number of kills in `make kill_tests`."""

MAX_SECONDS = 900
"""A generous timeout, because other programs may use all cores."""

# They have reordered attention, linear attention, and vision.
_ALWAYS_TESTED = {"gemma-4", "llama-3.2", "qwen3.5"}

WITHOUT_END_TOKENS: Any = {"logit_bias": {"0": -100, "2": -100}}
"""Options of a chat that exclude the tiny base's end tokens."""

FAMILIES = [
    pytest.param(family, marks=[] if family in _ALWAYS_TESTED else pytest.mark.release)
    for family in sorted(TINY_MODELS)
]
"""The families of the tiny models; most of them are only tested before a release."""


@pytest.fixture(scope="session")
def tiny_file(tiny_base: Path) -> Path:
    """The tiny base for llama.cpp, which starts without torch."""
    return tiny_base / "tiny.gguf"


@pytest.fixture
def data_dir(tmp_path: Path) -> Any:
    return tmp_path / "data"


@pytest.fixture(scope="session")
def tiny_server(tiny_base: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shared server, because its engine takes seconds to start."""
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    with LocalServer(tiny_base, data_dir=data_dir, threads=1) as server:
        yield server


_SERVER = """
import signal, sys
from langchain_chatexports.local_server import LocalServer
signal.signal(signal.SIGTERM, signal.default_int_handler)
with LocalServer(sys.argv[1], data_dir=sys.argv[2], threads=1) as server:
    print(server.base_url, server.api_key, flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_server(
    base: Path, data_dir: Path
) -> Iterator[tuple["subprocess.Popen[bytes]", Any]]:
    """Run a server in another process, and yield that with a client."""
    command = [sys.executable, "-c", _SERVER, str(base), str(data_dir)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload] # noqa: S603 - ours.
        try:
            base_url, api_key = process.stdout.readline().decode().split()
            options: Any = {"max_retries": 0, "timeout": MAX_SECONDS}
            with openai.OpenAI(base_url=base_url, api_key=api_key, **options) as client:
                yield process, client
        finally:
            process.kill()


def open_client(server: Any, **options: Any) -> Any:
    options = {"max_retries": 0, "timeout": MAX_SECONDS, **options}
    return openai.OpenAI(base_url=server.base_url, api_key=server.api_key, **options)


def upload(client: Any, examples: Any) -> Any:
    content = io.BytesIO(as_jsonl(examples))
    return client.files.create(file=content, purpose="fine-tune").id


def create_long_job(client: Any) -> Any:
    """Create a job of 3,000 steps, which trains until it is stopped."""
    return create_job(client, epochs=50, examples=dialogues(60))


def create_job(client: Any, *, epochs: Any = 1, examples: Any = None) -> Any:
    """Create a job on ten dialogues, with ten steps per epoch."""
    return client.fine_tuning.jobs.create(
        model="tiny",
        training_file=upload(client, examples or dialogues()),
        hyperparameters={"n_epochs": epochs},
    )


def find_trainers(data_dir: Path) -> list[tuple[str, psutil.Process]]:
    """Return the running trainers of a data directory with the ids of their jobs."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            words = process.info["cmdline"] or []
            if any(word.endswith("local_server.training.trainer") for word in words):
                folder = Path(process.environ()["TMPDIR"]).parent
                if data_dir in folder.parents:
                    found.append((folder.name, process))
    return found


def wait_for(client: Any, job_id: Any) -> Any:
    """Return a job when it has finished."""

    def find() -> Any:
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in {"succeeded", "failed", "cancelled"} else None

    return wait_until(find)


def wait_for_step(client: Any, job_id: Any, step: Any) -> None:
    def has_step() -> bool:
        (event,) = client.fine_tuning.jobs.list_events(job_id, limit=1).data
        job = client.fine_tuning.jobs.retrieve(job_id)
        assert job.status in {"queued", "running"}, job.status
        return bool((event.data or {}).get("step", 0) >= step)

    wait_until(has_step)
