"""Fine-tuning jobs: which are accepted, and their warnings."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_core.language_models import ModelProfile
from openai import OpenAI
from openai.types.fine_tuning.fine_tuning_job import FineTuningJob
from starlette.testclient import TestClient

from langchain_chatexports.finetuning.settings import KEY
from langchain_chatexports.local_server.http.service import LocalService
from langchain_chatexports.local_server.storage.models import (
    EXPORTS_KEY,
    PERSON_KEY,
    SOURCE_KEY,
)
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.local_server.conftest import asking, openai_client


def _upload(client: OpenAI, examples: list[dict[str, Any]] | bytes) -> str:
    content = examples if isinstance(examples, bytes) else as_jsonl(examples)
    return client.files.create(file=io.BytesIO(content), purpose="fine-tune").id


@pytest.fixture
def order(client: OpenAI) -> Callable[..., Any]:
    def create(
        examples: list[dict[str, Any]] | bytes | None = None, **options: Any
    ) -> FineTuningJob | None:
        file_id = _upload(client, dialogues() if examples is None else examples)
        options = {"model": "tiny", "training_file": file_id, **options}
        return client.fine_tuning.jobs.create(**options)

    return create


def _messages(client: OpenAI, job: FineTuningJob) -> list[str]:
    return [e.message for e in client.fine_tuning.jobs.list_events(job.id)]


def test_a_job_waits_with_numbers_in_place_of_auto(order: Callable[..., Any]) -> None:
    job = order()
    assert (job.status, job.model, job.fine_tuned_model) == ("queued", "tiny", None)
    assert job.hyperparameters.n_epochs == 4
    assert job.hyperparameters.batch_size == 1
    assert job.hyperparameters.learning_rate_multiplier == 1


def test_without_space_on_the_disk_there_is_no_job(
    order: Callable[..., Any], client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage("/")._replace(free=3_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(openai.InternalServerError, match="3 MB free, and a training"):
        order()
    assert not client.fine_tuning.jobs.list().data


def test_a_job_says_what_its_model_can_do(order: Callable[..., Any]) -> None:
    """For the `profile` of the chat model that the tuner returns."""
    profile = order().profile
    assert profile["max_input_tokens"] == profile["max_output_tokens"] == 512
    assert profile["text_inputs"]
    assert not profile["tool_calling"]
    assert profile.keys() <= ModelProfile.__annotations__.keys()


def test_hyperparameters_are_taken_in_the_newer_form(order: Callable[..., Any]) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 4}}}
    job = order(method=method, hyperparameters={"n_epochs": 2, "batch_size": 2})
    assert job.hyperparameters.n_epochs == 4
    assert job.hyperparameters.batch_size == 2
    assert job.method.supervised.hyperparameters.n_epochs == 4


def test_an_alias_orders_the_base_and_warns(
    order: Callable[..., Any], client: OpenAI
) -> None:
    job = order(model="gpt-3.5-turbo")
    assert job.model == "tiny"
    events = client.fine_tuning.jobs.list_events(job.id)
    assert any(e.level == "warn" and "alias" in e.message for e in events)


def test_jobs_are_listed_newest_first_and_by_metadata(
    order: Callable[..., Any], client: OpenAI
) -> None:
    ids = [order(metadata={"n": str(n)}).id for n in range(3)]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=2)] == ids[::-1]
    found = client.fine_tuning.jobs.list(metadata={"n": "1"})
    assert [job.id for job in found] == [ids[1]]


def test_events_come_newest_first_and_by_pages(
    order: Callable[..., Any], client: OpenAI
) -> None:
    job = order()
    first = client.fine_tuning.jobs.list_events(job.id, limit=1)
    assert "queued" in first.data[0].message
    assert first.has_more
    assert "Created" in list(first)[-1].message


def test_a_waiting_job_is_paused_until_it_is_resumed(
    order: Callable[..., Any], client: OpenAI
) -> None:
    job_id, jobs = order().id, client.fine_tuning.jobs
    calls = (jobs.pause, jobs.pause, jobs.resume, jobs.resume)
    statuses = [str(call(job_id).status) for call in calls]
    assert statuses == ["paused", "paused", "queued", "queued"]


def test_an_order_that_is_sent_twice_has_one_job(
    order: Callable[..., Any], client: OpenAI
) -> None:
    """The client had no answer in time, and has looked before the job was there."""
    key = {KEY: "a" * 64}
    first, again, other = order(metadata=key), order(metadata=key), order()
    assert again.id == first.id != other.id
    assert len(list(client.fine_tuning.jobs.list())) == 2
    client.fine_tuning.jobs.cancel(first.id)
    assert order(metadata=key).id != first.id


def test_a_job_is_cancelled_once_and_then_neither_paused_nor_resumed(
    order: Callable[..., Any], client: OpenAI
) -> None:
    jobs = client.fine_tuning.jobs
    job = jobs.cancel(order().id)
    assert (job.status, bool(job.finished_at)) == ("cancelled", True)
    for change in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(openai.BadRequestError, match="The job is cancelled"):
            change(job.id)


def test_what_is_not_learned_is_a_warning(
    order: Callable[..., Any], client: OpenAI
) -> None:
    examples = dialogues()
    examples[0]["messages"].append({"role": "user", "content": "bye"})
    examples[1]["messages"].pop(0)
    examples[2]["messages"] *= 40
    told = " ".join(_messages(client, order(examples)))
    assert "1 training example without an assistant message at the end" in told
    assert "1 training example with an assistant message at the beginning" in told
    assert "1 training example longer than 512" in told


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
def test_bad_examples_are_refused_before_there_is_a_job(
    order: Callable[..., Any], client: OpenAI, change: dict[str, Any], param: str
) -> None:
    examples = dialogues()
    examples[4].update(change)
    with pytest.raises(openai.BadRequestError, match="line 5") as caught:
        order(**{param: _upload(client, examples)})
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
def test_a_body_of_wrong_types_or_ranges_is_a_400(
    http: TestClient, param: str, values: tuple[Any, ...]
) -> None:
    for value in values:
        body = {"model": "tiny", "training_file": "file-1", param: value}
        response = http.post("/v1/fine_tuning/jobs", json=body)
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param


def test_too_few_examples_are_refused(order: Callable[..., Any]) -> None:
    with pytest.raises(openai.BadRequestError, match="at least 10"):
        order(dialogues(9))


def test_examples_beyond_every_length_are_refused(order: Callable[..., Any]) -> None:
    long = [{"role": "user", "content": "race " * 700}]
    long.append({"role": "assistant", "content": "ok"})
    with pytest.raises(openai.BadRequestError, match="512 tokens"):
        order([{"messages": long}] * 10)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "/etc", "HuggingFaceTB/SmolLM2-135M-Instruct", "..", "ft:x", ""]
)
def test_no_other_model_can_be_ordered(order: Callable[..., Any], model: str) -> None:
    with pytest.raises(openai.NotFoundError):
        order(model=model)


@pytest.mark.parametrize("name", ["x", "ftjob-1", "..%2Fx", "ftjob-" + "0" * 24])
def test_a_job_that_is_not_there_is_a_404(http: TestClient, name: str) -> None:
    # One with a slash is the path of a request to change a job.
    assert http.get(f"/v1/fine_tuning/jobs/{name}").status_code in {404, 405}
    for part in ("events", "checkpoints"):
        assert http.get(f"/v1/fine_tuning/jobs/{name}/{part}").status_code == 404
    for part in ("cancel", "pause", "resume"):
        assert http.post(f"/v1/fine_tuning/jobs/{name}/{part}").status_code == 404


def test_the_server_counts_the_examples_that_it_has_checked(
    order: Callable[..., Any], http: TestClient
) -> None:
    def count() -> int:
        return int(http.get("/v1/checked_examples").json()["count"])

    assert count() == 0
    order(dialogues(12))
    assert count() == 12
    order(dialogues(10))
    assert count() == 22


def test_the_person_and_the_source_of_a_job_are_kept_with_its_model(
    order: Callable[..., Any], service: LocalService
) -> None:
    labels = {PERSON_KEY: "Hare", SOURCE_KEY: "imessage chat.db", EXPORTS_KEY: "/c"}
    job = order(metadata=labels)
    record = service.jobs.private(job.id)["model"]
    assert (record["person"], record["source"]) == ("Hare", "imessage chat.db")
    assert record["exports"] == "/c"


def test_a_job_of_a_base_that_writes_no_text_is_refused(
    make_service: Callable[..., Any], tiny_base: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    (base / "config.json").write_text(json.dumps({"model_type": "vit"}), "utf-8")
    service = make_service(tmp_path / "data", base=base)
    service.queue.start = lambda: None
    with asking(service) as http:
        client = openai_client(http)
        file = client.files.create(file=as_jsonl(dialogues()), purpose="fine-tune")
        with pytest.raises(
            openai.BadRequestError, match="no text model of the type vit"
        ):
            client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
