"""Fine-tuning jobs: creation, events and changes."""

import io
import shutil
from collections.abc import Callable
from typing import Any, TypeAlias

import openai
import pytest
from langchain_core.language_models import ModelProfile
from openai import OpenAI
from starlette.testclient import TestClient

from langchain_chatexports.finetuning.settings import KEY
from langchain_chatexports.local_server.workspace import State, Workspace
from langchain_chatexports.local_server.workspace.models import ORDER_KEY
from tests.unit_tests.builders.tiny_base import as_jsonl, dialogues
from tests.unit_tests.builders.workspaces import add_job

CreateJob: TypeAlias = Callable[..., Any]


@pytest.fixture
def create_job(client: OpenAI) -> CreateJob:
    def create(**options: Any) -> Any:
        content = io.BytesIO(as_jsonl(dialogues()))
        file = client.files.create(file=content, purpose="fine-tune")
        options = {"model": "tiny", "training_file": file.id, **options}
        return client.fine_tuning.jobs.create(**options)

    return create


def test_job_is_queued(create_job: CreateJob, workspace: Workspace) -> None:
    job = create_job(suffix="x", seed=7, metadata={"a": "b"})
    assert (job.status, job.model, job.fine_tuned_model) == ("queued", "tiny", None)
    assert (job.seed, job.user_provided_suffix, job.error) == (7, "x", None)
    assert job.hyperparameters.n_epochs == "auto"
    stored = workspace.jobs.get(job.id)
    assert (stored.base, stored.base_model) == ("path/tiny", "tiny")
    assert (stored.metadata, stored.hyperparameters) == ({"a": "b"}, {})
    assert "waits for one" in workspace.jobs.events(job.id)[-1].message


def test_resolved_hyperparameters_are_shown(
    create_job: CreateJob, client: OpenAI, workspace: Workspace
) -> None:
    job = create_job(hyperparameters={"batch_size": 2})
    workspace.jobs.record(job.id, hyperparameters={"n_epochs": 3, "batch_size": 2})
    found = client.fine_tuning.jobs.retrieve(job.id).hyperparameters
    assert (found.n_epochs, found.batch_size) == (3, 2)


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
    assert profile["text_inputs"]
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


def test_events_are_listed_newest_first(
    create_job: CreateJob, client: OpenAI, workspace: Workspace
) -> None:
    job = create_job()
    for step in (1, 2, 3):
        workspace.jobs.log_step(job.id, step, 3, 0.5)
    first = client.fine_tuning.jobs.list_events(job.id, limit=2)
    latest: list[Any] = first.data
    assert [event.data["step"] for event in latest] == [3, 2]
    assert (first.data[0].type, first.has_more) == ("metrics", True)
    found = [*first]
    assert len(found) == len({event.id for event in found}) == 5
    assert (found[-1].message, found[-1].type) == (
        f"Created fine-tuning job: {job.id}",
        "message",
    )


@pytest.mark.parametrize("after", ["x", "ftevent-x", "ftevent-0", "7", "ftevent-²"])
def test_unknown_event_is_a_400(
    http: TestClient, workspace: Workspace, after: str
) -> None:
    url = f"/v1/fine_tuning/jobs/{add_job(workspace).id}/events"
    for value in (after, f"ftevent-{10**20}"):
        response = http.get(url, params={"after": value})
        assert (response.status_code, response.json()["error"]["param"]) == (
            400,
            "after",
        )


def test_queued_job_can_pause_and_resume(create_job: CreateJob, client: OpenAI) -> None:
    job_id, jobs = create_job().id, client.fine_tuning.jobs
    calls = (jobs.pause, jobs.pause, jobs.resume, jobs.resume)
    statuses = [str(call(job_id).status) for call in calls]
    assert statuses == ["paused", "paused", "queued", "queued"]


def test_repeated_request_is_one_job(create_job: CreateJob, client: OpenAI) -> None:
    """A client repeats a request after a timeout."""
    key = {KEY: "a" * 64}
    first, again, other, another = (
        create_job(metadata=metadata) for metadata in (key, key, None, None)
    )
    assert again.id == first.id
    assert len({first.id, other.id, another.id}) == 3
    client.fine_tuning.jobs.cancel(first.id)
    assert create_job(metadata=key).id != first.id
    assert KEY == ORDER_KEY


@pytest.mark.parametrize("state", [State.PAUSED, State.FAILED])
def test_repeated_request_resumes_the_job(
    create_job: CreateJob, workspace: Workspace, state: State
) -> None:
    job = create_job(metadata={KEY: "b" * 64})
    workspace.jobs.move(job.id, state, "x", sources=(State.QUEUED,))
    again = create_job(metadata={KEY: "b" * 64})
    assert (again.id, again.status) == (job.id, "queued")


def test_cancelled_job_cannot_change(create_job: CreateJob, client: OpenAI) -> None:
    jobs = client.fine_tuning.jobs
    job = jobs.cancel(create_job().id)
    assert (job.status, bool(job.finished_at)) == ("cancelled", True)
    for change in (jobs.cancel, jobs.pause, jobs.resume):
        with pytest.raises(openai.BadRequestError, match="a job that is cancelled"):
            change(job.id)


def test_failed_job_has_an_error(
    create_job: CreateJob, client: OpenAI, workspace: Workspace
) -> None:
    job = create_job()
    error = {"code": "x", "message": "y", "param": None, "frames": ["private"]}
    workspace.jobs.move(job.id, State.FAILED, "y", sources=[State.QUEUED], error=error)
    found = client.fine_tuning.jobs.retrieve(job.id).error
    assert found is not None
    assert found.model_dump() == {"code": "x", "message": "y", "param": None}


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


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_unknown_file_creates_no_job(
    create_job: CreateJob, client: OpenAI, param: str
) -> None:
    for name in ("file-" + "0" * 32, "../secret"):
        with pytest.raises(openai.NotFoundError) as caught:
            create_job(**{param: name})
        assert caught.value.param == param
    assert not client.fine_tuning.jobs.list().data


@pytest.mark.parametrize("name", ["x", "ftjob-1", "..%2Fx", "ftjob-" + "0" * 24])
def test_unknown_job_is_a_404(http: TestClient, name: str) -> None:
    # With a slash, it is the route of a change, which has no GET.
    assert http.get(f"/v1/fine_tuning/jobs/{name}").status_code in {404, 405}
    for part in ("events", "checkpoints"):
        assert http.get(f"/v1/fine_tuning/jobs/{name}/{part}").status_code == 404
    for part in ("cancel", "pause", "resume"):
        assert http.post(f"/v1/fine_tuning/jobs/{name}/{part}").status_code == 404
