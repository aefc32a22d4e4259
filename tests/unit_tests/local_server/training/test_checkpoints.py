"""Checkpoints: which are kept, which becomes the model, and resuming."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.datasets.chat_prompts import ChatPrompt
from langchain_chatexports.local_server.storage.events import EventLog
from langchain_chatexports.local_server.storage.jobs import last_saved
from langchain_chatexports.local_server.training import trainer as training
from langchain_chatexports.local_server.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from pathlib import Path


class _Adapter:
    """Writes a file where PEFT would write an adapter."""

    def __init__(self, name: str) -> None:
        self.name = name

    def save_pretrained(self, folder: Path, **_: Any) -> None:
        (folder / "adapter_model.safetensors").write_text(self.name)


def _kept(tmp_path: Path, losses: list[Any], **options: Any) -> Checkpoints:
    checkpoints = Checkpoints(tmp_path / "kept", **options)
    for number, loss in enumerate(losses, 1):
        metrics = {} if loss is None else {"full_valid_loss": loss}
        checkpoints.keep(number, metrics, _Adapter(f"epoch {number}"))
    return checkpoints


@pytest.mark.parametrize(
    ("losses", "by_validation", "best", "kept"),
    [
        ([3.0, 2.0, 1.0], True, 3, [1, 2, 3]),
        ([3.0, 1.0, 2.0], True, 2, [1, 2, 3]),
        ([1.0, 2.0, 3.0, 4.0, 5.0], True, 1, [1, 3, 4, 5]),
        ([1.0, 2.0, 3.0, 4.0], False, 4, [2, 3, 4]),
        ([None, None], True, 2, [1, 2]),
    ],
)
def test_the_best_epoch_becomes_the_model(
    tmp_path: Path, losses: list[Any], by_validation: bool, best: int, kept: list[int]
) -> None:
    checkpoints = _kept(tmp_path, losses, by_validation=by_validation)
    published = checkpoints.publish(tmp_path / "model")
    assert [record["step"] for record in published] == kept
    adapter = tmp_path / "model" / "adapter_model.safetensors"
    assert adapter.read_text() == f"epoch {best}"
    assert {r["step"]: r["folder"] for r in published}[best] == "."
    others = {p.name for p in (tmp_path / "model").glob("checkpoints/*")}
    assert others == {f"step-{number}" for number in kept if number != best}


def test_publishing_twice_gives_the_same(tmp_path: Path) -> None:
    checkpoints = _kept(tmp_path, [2.0, 1.0], by_validation=True)
    first = checkpoints.publish(tmp_path / "model")
    again = Checkpoints(tmp_path / "kept", by_validation=True)
    again.resume(2)
    assert again.publish(tmp_path / "model") == first


def test_epochs_after_the_last_save_are_forgotten_because_they_come_again(
    tmp_path: Path,
) -> None:
    _kept(tmp_path, [3.0, 2.0, 1.0], by_validation=True)
    again = Checkpoints(tmp_path / "kept", by_validation=True)
    again.resume(2)
    assert [record["step"] for record in again.records] == [1, 2]


def test_a_step_that_an_earlier_trainer_told_is_not_told_again(
    tmp_path: Path,
) -> None:
    from langchain_chatexports.local_server.training.progress import ProgressWriter

    log = EventLog(tmp_path / "events.jsonl")
    log.append("Step 3/9", data={"step": 3})
    checkpoints = Checkpoints(tmp_path / "kept", by_validation=False)
    writer = ProgressWriter(log, checkpoints=checkpoints, has_validation=False)
    for step in (2, 3, 4):
        state = SimpleNamespace(global_step=step, max_steps=9, epoch=step / 10)
        writer.on_log(None, state, None, logs={"loss": 1.0})
    told = [event["data"]["step"] for event in log.read()]
    assert told == [3, 4]


def test_a_save_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    assert last_saved(tmp_path) is None
    for step, is_whole in ((9, True), (10, True), (11, False)):
        folder = tmp_path / "trainer" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").touch()
        if is_whole:
            (folder / "whole.json").touch()
    assert last_saved(tmp_path) == tmp_path / "trainer" / "checkpoint-10"


def test_a_model_appears_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever its writing ends, nothing is in its place until all is written."""
    (tmp_path / "job" / "work").mkdir(parents=True)
    order: Any = SimpleNamespace(
        job_folder=str(tmp_path / "job"),
        model_folder=str(tmp_path / "model"),
        base_directory=str(tmp_path / "base"),
        model_record={},
    )
    checkpoints = _kept(tmp_path, [2.0, 1.0], by_validation=True)
    tokenizer: Any = SimpleNamespace(
        save_pretrained=lambda folder: (folder / "x").touch()
    )

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(training, "write_json", full)
        with pytest.raises(OSError, match="No space"):
            training._publish(order, checkpoints, tokenizer, 5, ChatPrompt(None))
    assert not (tmp_path / "model").exists()
    training._publish(order, checkpoints, tokenizer, 5, ChatPrompt(None))
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "adapter_model.safetensors",
        "checkpoints",
        "model.json",
        "x",
    }
