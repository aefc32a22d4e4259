"""Error messages of failed trainings."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports._locks import ProcessLock, is_locked
from langchain_chatexports.local_server.training import trainer as training
from langchain_chatexports.local_server.training.trainer import (
    ALREADY_RUNNING,
    TrainingSpec,
)
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    """An order on standard input, for a base that is gone."""
    (tmp_path / "job").mkdir()
    (tmp_path / "train.jsonl").write_bytes(as_jsonl(dialogues()))
    made = TrainingSpec(
        job_folder=str(tmp_path / "job"),
        base_directory=str(tmp_path / "gone"),
        training_file=str(tmp_path / "train.jsonl"),
        validation_file=None,
        hyperparameters={},
        seed=1,
        max_length=100,
        stops_early=True,
        dtype="float32",
        model_folder=str(tmp_path / "model"),
        model_record={},
    )
    # The process that runs the tests stays as nice and as talkative as it is.
    monkeypatch.setattr("os.nice", lambda _: None, raising=False)
    monkeypatch.setattr("logging.disable", lambda _: None)
    monkeypatch.setattr("os.umask", lambda _: None)
    stdin = SimpleNamespace(buffer=io.BytesIO(made.to_json()))
    monkeypatch.setattr("sys.stdin", stdin)
    return made


def _failure(order: TrainingSpec, code: int = 1) -> dict[str, Any]:
    with pytest.raises(SystemExit) as ended:
        training.main()
    assert ended.value.code == code
    text = (Path(order.job_folder) / "failure.json").read_text()
    return dict(json.loads(text))


def test_a_base_that_is_gone_is_said(order: TrainingSpec) -> None:
    failure = _failure(order)
    assert failure["code"] == "base_unreadable"
    assert "base model could not be read" in failure["message"]


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left"), "disk_full", "Free some space"),
        (MemoryError(), "out_of_memory", "smaller base"),
        (RuntimeError("CUDA out of memory"), "out_of_memory", "shorter dialogues"),
        (PermissionError(13, "no"), "base_unreadable", "PermissionError"),
        (KeyError("secret words"), "training_failed", "KeyError"),
    ],
)
def test_each_failure_is_a_sentence_that_quotes_nothing(
    order: TrainingSpec,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: str,
    words: str,
) -> None:
    def train(_: TrainingSpec) -> None:
        raise error

    monkeypatch.setattr(training, "train", train)
    failure = _failure(order)
    assert failure["code"] == code
    assert words in failure["message"]
    assert "secret" not in json.dumps(failure)


def test_a_disk_too_full_for_the_reason_ends_with_its_own_exit_code(
    order: TrainingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(training, "train", full)
    monkeypatch.setattr(training, "write_json", full)
    with pytest.raises(SystemExit) as ended:
        training.main()
    assert ended.value.code == errno.ENOSPC
    assert not is_locked(Path(order.job_folder) / "trainer.lock")


def test_a_second_trainer_of_a_job_leaves_at_once(order: TrainingSpec) -> None:
    with ProcessLock(Path(order.job_folder) / "trainer.lock") as lock:
        assert lock.acquire()
        with pytest.raises(SystemExit) as ended:
            training.main()
    assert ended.value.code == ALREADY_RUNNING
