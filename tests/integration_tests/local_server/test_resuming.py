"""An interrupted training is resumed from its last save."""

from __future__ import annotations

import signal
import warnings
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.events import EventLog
from langchain_chatexports.local_server.storage.jobs import last_saved
from langchain_chatexports.local_server.training import progress
from langchain_chatexports.local_server.training.checkpoints import StoppedError
from langchain_chatexports.local_server.training.trainer import TrainingSpec, train
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def _train(order: Any) -> Any:
    with warnings.catch_warnings():
        # PEFT asks for an attribute that transformers is about to drop.
        warnings.simplefilter("ignore", FutureWarning)
        train(order)


def _order_for(folder: Any, base: Any, numbers: Any) -> Any:
    (folder / "job" / "work").mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(as_jsonl(dialogues()))
    return TrainingSpec(
        job_folder=str(folder / "job"),
        base_directory=str(base),
        training_file=str(folder / "train.jsonl"),
        validation_file=None,
        hyperparameters=numbers,
        seed=2**60,
        max_length=100,
        stops_early=True,
        dtype="float32",
        model_folder=str(folder / "model"),
        model_record={},
    )


class _KilledError(Exception):
    pass


def test_a_training_that_is_told_to_stop_saves_first(
    tmp_path: Path, tiny_base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter is the same as without the interruption."""
    numbers = {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 20.0}
    calm, hurt = (
        _order_for(tmp_path / name, tiny_base, numbers) for name in ("calm", "hurt")
    )
    _train(calm)

    def stop(_self: object, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step == 4:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(progress.ProgressWriter, "on_step_begin", stop, raising=False)
        with pytest.raises(StoppedError):
            _train(hurt)
    saved = last_saved(tmp_path / "hurt" / "job" / "work")
    assert saved is not None
    assert saved.name == "checkpoint-5"
    _train(hurt)
    weights = [
        (tmp_path / name / "model" / "adapter_model.safetensors").read_bytes()
        for name in ("calm", "hurt")
    ]
    assert weights[0] == weights[1]


def test_a_killed_training_goes_on_from_its_last_save(
    tmp_path: Path, tiny_base: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter is the same as without the interruption, and no step told twice."""
    numbers = {"n_epochs": 2, "batch_size": 1, "learning_rate_multiplier": 20.0}
    calm, hurt = (
        _order_for(tmp_path / name, tiny_base, numbers) for name in ("calm", "hurt")
    )
    _train(calm)
    steps, last = [], 12

    def kill(
        _self: object, _args: Any, state: Any, _control: Any, **_kwargs: Any
    ) -> Any:
        steps.append(state.global_step)
        if len(steps) == last:
            raise _KilledError

    with monkeypatch.context() as patch:
        patch.setattr(progress, "SAVE_SECONDS", 0.0)
        patch.setattr(progress.ProgressWriter, "on_step_begin", kill, raising=False)
        with pytest.raises(_KilledError):
            _train(hurt)
        steps.append(None)
        _train(hurt)
    # The step at which it was killed was begun and not finished.
    assert steps[steps.index(None) + 1] == last - 1
    weights = [
        (tmp_path / name / "model" / "adapter_model.safetensors").read_bytes()
        for name in ("calm", "hurt")
    ]
    assert weights[0] == weights[1]
    records = [
        read_json(tmp_path / name / "model" / "model.json") for name in ("calm", "hurt")
    ]
    kept = [[c["step"] for c in record["checkpoints"]] for record in records if record]
    assert kept == [[10, 20], [10, 20]]
    events = EventLog(tmp_path / "hurt" / "job" / "events.jsonl").read()
    told = [e["data"]["step"] for e in events if "step" in (e["data"] or {})]
    assert told == list(range(1, 21))
