"""A training run of the tiny base, and the tuned model."""

import errno
import io
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.fine_tuning.fine_tuning_job import FineTuningJob
from safetensors.numpy import load_file

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import export, export_model, list_models
from langchain_chatexports.local_server.bases import gguf_file
from langchain_chatexports.local_server.bases.description import describe_base
from langchain_chatexports.local_server.bases.gguf_adapter import (
    GGUFNotSupportedError,
    match_matrices,
)
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.old_http.service import LocalService
from langchain_chatexports.local_server.storage.data_directory import read_json
from langchain_chatexports.local_server.storage.jobs import last_checkpoint
from langchain_chatexports.local_server.training import progress, trainer
from tests.unit_tests.builders.bare_engine import BareEngine, log_likelihoods
from tests.unit_tests.builders.children import call_in_process
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.training_runs import (
    read_events,
    run_training,
    training_spec,
)
from tests.unit_tests.builders.waiting import wait_until
from tests.unit_tests.local_server.conftest import make_client, openai_client


class Trained(NamedTuple):
    """A service with one finished job."""

    service: LocalService
    client: OpenAI
    job: FineTuningJob
    root: Path
    model: str


_HELLO: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Are you ready?"}
]


@pytest.fixture(scope="module", autouse=True)
def _private_files() -> Iterator[None]:
    """Use the trainer's umask."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(scope="module")
def trained(
    make_service: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trained]:
    root = tmp_path_factory.mktemp("trained") / "data"
    service = make_service(root)

    def train_here(job_id: str) -> None:
        queue = service.queue
        service.jobs.update(job_id, expected=("queued",), status="running")
        service.jobs.folder(job_id).mkdir()
        run_training(queue._build_spec(job_id))
        queue._finish(job_id, queue._model_folder(job_id), requeue=True)

    service.queue._train = train_here
    with make_client(service) as http:
        client = openai_client(http)
        upload, check = (
            client.files.create(file=io.BytesIO(as_jsonl(data)), purpose="fine-tune")
            for data in (dialogues(mark="MARKED"), dialogues(2))
        )
        job = client.fine_tuning.jobs.create(
            model="tiny",
            training_file=upload.id,
            validation_file=check.id,
            suffix="Hare & Co.",
            hyperparameters={"n_epochs": 2, "learning_rate_multiplier": 20},
        )
        wait_until(lambda: client.fine_tuning.jobs.retrieve(job.id).finished_at)
        job = client.fine_tuning.jobs.retrieve(job.id)
        assert job.status == "succeeded", job.error
        yield Trained(service, client, job, root, str(job.fine_tuned_model))


@pytest.fixture(scope="module")
def metrics(trained: Trained) -> list[dict[str, Any]]:
    events = trained.service.jobs.events(trained.job.id)
    return [event["data"] for event in events if event["type"] == "metrics"]


def _export(trained: Trained, target: Path, **options: Any) -> Path:
    return export_model(trained.model, target, data_dir=trained.root, **options)


def _ask(client: OpenAI, model: str, **options: Any) -> str:
    answer: ChatCompletion = client.chat.completions.create(
        model=model, messages=_HELLO, max_tokens=16, temperature=0, **options
    )
    text = answer.choices[0].message.content
    assert text is not None
    return text


def test_each_step_has_a_metrics_event(metrics: list[dict[str, Any]]) -> None:
    assert [data["step"] for data in metrics] == list(range(1, 21))
    assert {data["total_steps"] for data in metrics} == {20}
    assert all(data["train_loss"] > 0 for data in metrics)


def test_epochs_end_with_a_validation_loss(metrics: list[dict[str, Any]]) -> None:
    assert [data["step"] for data in metrics if "valid_loss" in data] == [10, 20]


def test_tuned_model_is_listed_and_answers(trained: Trained) -> None:
    client = trained.client
    assert [m.id for m in client.models.list()] == ["tiny", trained.model]
    assert _ask(client, trained.model) != _ask(client, "tiny")


def test_files_are_private_and_not_pickles(trained: Trained) -> None:
    for path in [trained.root, *trained.root.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
        assert path.suffix not in {".bin", ".pt", ".pth", ".pkl"}


def test_only_uploads_contain_text(trained: Trained) -> None:
    files = [path for path in trained.root.rglob("*") if path.is_file()]
    marked = {path.parent.name for path in files if b"MARKED" in path.read_bytes()}
    assert marked == {"files"}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_export_matches_peft(
    trained: Trained, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(export, "call_in_child", call_in_process)
    target = _export(trained, tmp_path / "merged")
    assert describe_base(target).name == "merged"
    assert {path.name for path in tmp_path.iterdir()} == {"merged"}
    ids = torch.tensor([[5, 6, 7]])
    merged = AutoModelForCausalLM.from_pretrained(target).eval()
    plain = AutoModelForCausalLM.from_pretrained(tiny_base)
    tuned = PeftModel.from_pretrained(plain, list_models(trained.root)[0].path).eval()
    with torch.inference_mode():
        torch.testing.assert_close(
            merged(input_ids=ids).logits, tuned(input_ids=ids).logits
        )


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_gguf_export_matches_peft(
    trained: Trained,
    tiny_base: Path,
    tiny_gguf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("xllamacpp")
    matrices = match_matrices(tiny_base, read_header(tiny_gguf))
    gguf = gguf_file.BaseGGUF(tiny_gguf, lambda: matrices)
    monkeypatch.setattr(export, "find_gguf", lambda *_: gguf)
    monkeypatch.setattr(export, "call_in_child", call_in_process)
    target = _export(trained, tmp_path / "voice", gguf=True, quantization="f16")
    lines = (target / "Modelfile").read_text("utf-8").splitlines()
    assert {path.name for path in target.iterdir()} == {"Modelfile", "model.gguf"}
    assert lines[0] == "FROM ./model.gguf"
    assert 'PARAMETER stop "<|im_end|>"' in lines
    engine = BareEngine(target / "model.gguf")
    compared = 0
    for ids in ([5, 6, 7], [9, 8, 30, 200, 5], [300, 12], [40], [7, 90, 61], [12, 77]):
        expected = log_likelihoods(tiny_base, list_models(trained.root)[0].path, ids)
        found = engine.log_likelihoods(ids)
        compared += len(found)
        for token, value in found.items():
            assert abs(value - float(expected[token])) < 1e-3
    assert compared
    if sys.platform != "win32":
        modes = {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()}
        assert modes == {0o600}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_failed_gguf_export_leaves_nothing(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        msg = "there is none"
        raise GGUFNotSupportedError(msg)

    monkeypatch.setattr(export, "find_gguf", refuse)
    monkeypatch.setattr(export, "call_in_child", call_in_process)
    with pytest.raises(LocalServerError, match="as GGUF: there is none"):
        _export(trained, tmp_path / "voice", gguf=True)
    with pytest.raises(LocalServerError, match="q8_0 or f16"):
        _export(trained, tmp_path / "voice", gguf=True, quantization="q9")
    assert not list(tmp_path.iterdir())


def test_invalid_export_is_refused(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="exists"):
        _export(trained, tmp_path)
    with pytest.raises(LocalServerError, match=trained.model):
        export_model("ft:x", tmp_path / "new", data_dir=trained.root)


def test_model_of_another_base_is_not_served(
    trained: Trained, make_service: Callable[..., Any]
) -> None:
    other = make_service(trained.root, base_model="other")
    assert other.tuned_models() == []
    with make_client(other) as http, pytest.raises(openai.NotFoundError, match="tiny"):
        _ask(openai_client(http), trained.model)


def test_deleted_model_leaves_no_data(
    trained: Trained, make_service: Callable[..., Any], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.root, copy)
    service = make_service(copy)
    with make_client(service) as http:
        client = openai_client(http)
        name = trained.model
        assert _ask(client, name)
        assert client.models.delete(name).deleted
        assert service.files.get(trained.job.training_file) is None
        in_memory = service.scorer.run(lambda model: model._adapter).result(300)
        assert in_memory is None
        with pytest.raises(openai.NotFoundError):
            _ask(client, name)
        assert [m.id for m in client.models.list()] == ["tiny"]
        assert list(client.fine_tuning.jobs.list()) == []
    assert not list(copy.rglob("*.safetensors"))


def test_model_stores_its_prompt(tmp_path: Path, tiny_base: Path) -> None:
    examples = dialogues()
    for example in examples:
        for message in example["messages"]:
            if message["role"] == "user":
                message["content"] = f"Hare: {message['content']}"
        example["messages"].insert(0, {"role": "system", "content": "Be slow."})
    spec = training_spec(tmp_path, tiny_base)
    (tmp_path / "train.jsonl").write_bytes(as_jsonl(examples))
    run_training(spec)
    record = read_json(tmp_path / "model" / "model.json")
    assert record is not None
    assert record["system_prompt"] == "Be slow."
    assert record["user_label"] == "Hare"
    # Twice the tokens of nearly all replies.
    assert record["reply_tokens"] == 28


def test_model_has_one_adapter_and_no_checkpoints(
    tmp_path: Path, tiny_base: Path
) -> None:
    """Issue 36."""
    run_training(training_spec(tmp_path, tiny_base, epochs=3, batch_size=4))
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    large = {path.name for path in files if path.stat().st_size > 50_000}
    assert large == {"adapter_model.safetensors"}
    assert all(path.parent == tmp_path / "model" for path in files)


def test_full_disk_at_the_end_loses_no_steps(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "CHECKPOINT_SECONDS", 0.0)
    spec = training_spec(tmp_path, tiny_base)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "replace", full)
        with pytest.raises(OSError, match="No space"):
            run_training(spec)
    assert last_checkpoint(spec.folder) == spec.folder / "saves" / "checkpoint-10"
    run_training(spec)
    assert (tmp_path / "model" / "model.json").exists()
    steps = [e["data"]["step"] for e in read_events(spec) if "step" in e["data"]]
    assert steps == list(range(1, 11))


def _write_another_voice(folder: Path) -> Path:
    other = dialogues(2)
    for example in other:
        example["messages"][1]["content"] = "WWW ZZZ QQQ %%% ~~~"
        example["messages"][3]["content"] = "ZZZ QQQ"
    path = folder / "other.jsonl"
    path.write_bytes(as_jsonl(other))
    return path


def test_best_epoch_becomes_the_model(tmp_path: Path, tiny_base: Path) -> None:
    """Both epochs are trained, and the second one is worse."""
    held_out = str(_write_another_voice(tmp_path))
    spec = training_spec(
        tmp_path, tiny_base, epochs=2, rate=20.0, validation_file=held_out
    )
    run_training(spec)
    events = read_events(spec)
    losses = [e["data"]["valid_loss"] for e in events if "valid_loss" in e["data"]]
    assert losses[0] < losses[1]
    assert events[-1]["message"] == (
        f"Using epoch 1 of 2, which has the lowest validation loss, {losses[0]:.6f}"
    )
    # Its weights are those of the checkpoint.
    saved = spec.folder / "saves" / "checkpoint-10" / "adapter_model.safetensors"
    published = load_file(tmp_path / "model" / "adapter_model.safetensors")
    for name, values in load_file(saved).items():
        np.testing.assert_array_equal(values, published[name])
