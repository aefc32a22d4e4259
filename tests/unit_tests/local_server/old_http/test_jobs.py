"""Fine-tuning jobs: creation, warnings and changes."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import openai
import pytest
from langchain_core.language_models import ModelProfile
from openai import OpenAI
from openai.types.fine_tuning.fine_tuning_job import FineTuningJob
from starlette.testclient import TestClient

from langchain_chatexports.finetuning.settings import KEY
from langchain_chatexports.local_server.bases import weights
from langchain_chatexports.local_server.old_http.service import LocalService
from langchain_chatexports.local_server.storage.models import (
    EXPORTS_KEY,
    PERSON_KEY,
    SOURCE_KEY,
)
from tests.unit_tests.builders.children import call_in_process
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.local_server.conftest import make_client, openai_client

CreateJob: TypeAlias = Callable[..., Any]


def _upload(client: OpenAI, examples: list[dict[str, Any]] | bytes) -> str:
    content = examples if isinstance(examples, bytes) else as_jsonl(examples)
    return client.files.create(file=io.BytesIO(content), purpose="fine-tune").id


@pytest.fixture
def create_job(client: OpenAI) -> CreateJob:
    def create(
        examples: list[dict[str, Any]] | bytes | None = None, **options: Any
    ) -> FineTuningJob | None:
        file_id = _upload(client, dialogues() if examples is None else examples)
        options = {"model": "tiny", "training_file": file_id, **options}
        return client.fine_tuning.jobs.create(**options)

    return create


def test_auto_hyperparameters_are_resolved(create_job: CreateJob) -> None:
    job = create_job()
    assert (job.status, job.model, job.fine_tuned_model) == ("queued", "tiny", None)
    assert job.hyperparameters.n_epochs == 4
    assert job.hyperparameters.batch_size == 1
    assert job.hyperparameters.learning_rate_multiplier == 1


def test_full_disk_creates_no_job(
    create_job: CreateJob, client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage("/")._replace(free=3_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(openai.InternalServerError, match="3 MB free, but training"):
        create_job()
    assert not client.fine_tuning.jobs.list().data


def test_job_has_the_model_profile(create_job: CreateJob) -> None:
    profile = create_job().profile
    assert profile["max_input_tokens"] == profile["max_output_tokens"] == 512
    assert profile["text_inputs"]
    assert not profile["tool_calling"]
    assert profile.keys() <= ModelProfile.__annotations__.keys()


def test_method_hyperparameters_take_precedence(create_job: CreateJob) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 4}}}
    job = create_job(method=method, hyperparameters={"n_epochs": 2, "batch_size": 2})
    assert job.hyperparameters.n_epochs == 4
    assert job.hyperparameters.batch_size == 2
    assert job.method.supervised.hyperparameters.n_epochs == 4


def test_alias_tunes_the_base_and_warns(create_job: CreateJob, client: OpenAI) -> None:
    job = create_job(model="gpt-3.5-turbo")
    assert job.model == "tiny"
    events = client.fine_tuning.jobs.list_events(job.id)
    assert any(e.level == "warn" and "alias" in e.message for e in events)


def test_jobs_are_filtered_by_metadata(create_job: CreateJob, client: OpenAI) -> None:
    ids = [create_job(metadata={"n": str(n)}).id for n in range(3)]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=2)] == ids[::-1]
    found = client.fine_tuning.jobs.list(metadata={"n": "1"})
    assert [job.id for job in found] == [ids[1]]


def test_events_are_listed_newest_first(create_job: CreateJob, client: OpenAI) -> None:
    job = create_job()
    first = client.fine_tuning.jobs.list_events(job.id, limit=1)
    assert "queued" in first.data[0].message
    assert first.has_more
    assert "Created" in list(first)[-1].message


def test_queued_job_can_pause_and_resume(create_job: CreateJob, client: OpenAI) -> None:
    job_id, jobs = create_job().id, client.fine_tuning.jobs
    calls = (jobs.pause, jobs.pause, jobs.resume, jobs.resume)
    statuses = [str(call(job_id).status) for call in calls]
    assert statuses == ["paused", "paused", "queued", "queued"]


def test_repeated_request_is_one_job(create_job: CreateJob, client: OpenAI) -> None:
    """A client repeats a request after a timeout."""
    key = {KEY: "a" * 64}
    first, again, other = (
        create_job(metadata=key),
        create_job(metadata=key),
        create_job(),
    )
    assert again.id == first.id != other.id
    assert len(list(client.fine_tuning.jobs.list())) == 2
    client.fine_tuning.jobs.cancel(first.id)
    assert create_job(metadata=key).id != first.id


def test_cancelled_job_cannot_change(create_job: CreateJob, client: OpenAI) -> None:
    jobs = client.fine_tuning.jobs
    job = jobs.cancel(create_job().id)
    assert (job.status, bool(job.finished_at)) == ("cancelled", True)
    for change in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(openai.BadRequestError, match="a job that is cancelled"):
            change(job.id)


def test_skipped_messages_are_warnings(create_job: CreateJob, client: OpenAI) -> None:
    examples = dialogues()
    examples[0]["messages"].append({"role": "user", "content": "bye"})
    examples[1]["messages"].pop(0)
    examples[2]["messages"] *= 40
    events = client.fine_tuning.jobs.list_events(create_job(examples).id)
    warnings = " ".join(event.message for event in events)
    assert "1 training example not ending with an assistant message" in warnings
    assert "1 training example starting with an assistant message" in warnings
    assert "1 training example truncated to 512" in warnings


_ANSWER = [{"role": "assistant", "content": "a"}]
_IMAGE = {"type": "image_url", "image_url": {"url": "https://x"}}
_TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": [{"role": "robot", "content": "a"}]},
        {"messages": [{"role": "assistant", "content": 7}]},
        {"messages": [{"role": "user", "content": [_IMAGE]}, *_ANSWER]},
        {"messages": []},
        {"tools": [_TOOL]},
        {"surprise": 1},
    ],
)
@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_invalid_examples_create_no_job(
    create_job: CreateJob, client: OpenAI, change: dict[str, Any], param: str
) -> None:
    examples = dialogues()
    examples[4].update(change)
    with pytest.raises(openai.BadRequestError, match="line 5") as caught:
        create_job(**{param: _upload(client, examples)})
    assert caught.value.param == param
    assert list(client.fine_tuning.jobs.list()) == []


@pytest.mark.parametrize(
    ("param", "values"),
    [
        ("hyperparameters", ({"n_epochs": 0}, {"n_epochs": "x"}, {"n_epochs": True})),
        ("hyperparameters", ({"learning_rate_multiplier": 0},)),
        ("suffix", ("x" * 65,)),
        ("seed", (-1, 10**100)),
        ("metadata", ({"k": 1}, {str(n): "v" for n in range(17)})),
        ("integrations", ([{"type": "wandb"}],)),
        ("surprise", (1,)),
        ("training_file", (5,)),
    ],
)
def test_invalid_job_value_is_a_400(http: TestClient, param: str, values: Any) -> None:
    for value in values:
        body = {"model": "tiny", "training_file": "file-1", param: value}
        response = http.post("/v1/fine_tuning/jobs", json=body)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param


def test_too_few_examples_are_refused(create_job: CreateJob) -> None:
    with pytest.raises(openai.BadRequestError, match="at least 10"):
        create_job(dialogues(9))


def test_too_long_examples_are_refused(create_job: CreateJob) -> None:
    long = [{"role": "user", "content": "race " * 700}]
    long.append({"role": "assistant", "content": "ok"})
    with pytest.raises(openai.BadRequestError, match="512 tokens"):
        create_job([{"messages": long}] * 10)


@pytest.mark.parametrize("name", ["x", "ftjob-1", "..%2Fx", "ftjob-" + "0" * 24])
def test_unknown_job_is_a_404(http: TestClient, name: str) -> None:
    # With a slash, it is the route of a change, which has no GET.
    assert http.get(f"/v1/fine_tuning/jobs/{name}").status_code in {404, 405}
    for part in ("events", "checkpoints"):
        assert http.get(f"/v1/fine_tuning/jobs/{name}/{part}").status_code == 404
    for part in ("cancel", "pause", "resume"):
        assert http.post(f"/v1/fine_tuning/jobs/{name}/{part}").status_code == 404


def test_checked_examples_are_counted(create_job: CreateJob, http: TestClient) -> None:
    def count() -> int:
        return int(http.get("/v1/checked_examples").json()["count"])

    assert count() == 0
    create_job(dialogues(12))
    assert count() == 12
    create_job(dialogues(10))
    assert count() == 22


def test_job_stores_model_labels(create_job: CreateJob, service: LocalService) -> None:
    labels = {PERSON_KEY: "Hare", SOURCE_KEY: "imessage chat.db", EXPORTS_KEY: "/c"}
    job = create_job(metadata=labels)
    record = service.jobs.private_fields(job.id)["model"]
    assert (record["person"], record["source"]) == ("Hare", "imessage chat.db")
    assert record["exports"] == "/c"


def test_base_without_text_model_is_refused(
    make_service: Callable[..., Any],
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "call_in_child", call_in_process)
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    (base / "config.json").write_text(json.dumps({"model_type": "vit"}), "utf-8")
    service = make_service(tmp_path / "data", base=base)
    service.queue.start = lambda: None
    with make_client(service) as http:
        client = openai_client(http)
        file = client.files.create(file=as_jsonl(dialogues()), purpose="fine-tune")
        with pytest.raises(openai.BadRequestError, match="no text model of type vit"):
            client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
