"""What a hosted job says of itself."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from langchain_chatexports.evaluation.halves import halves_of_job, pairs_of_job
from langchain_chatexports.evaluation.model_server import (
    JobFacts,
    ModelServer,
)
from langchain_chatexports.evaluation.results import ValidationLoss
from langchain_chatexports.exceptions import TrainingDataError
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = {
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yo"},
    ]
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as made:
        yield made


@pytest.fixture
def client(server: OpenAIServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as made:
        yield made


@pytest.fixture
def job(server: OpenAIServer, client: openai.OpenAI) -> dict[str, Any]:
    """A job that has succeeded, with a validation file."""
    lines = f"{json.dumps(EXAMPLE)}\n\n[1]\n{{}}\n".encode()
    file = client.files.create(file=("train.jsonl", lines), purpose="fine-tune")
    made = client.fine_tuning.jobs.create(
        model=BASE_MODEL, training_file=file.id, validation_file=file.id
    )
    while client.fine_tuning.jobs.retrieve(made.id).status != "succeeded":
        pass
    return server.jobs[made.id]


def checkpoints(job: dict[str, Any], losses: dict[int, float | None]) -> None:
    name = job["fine_tuned_model"]
    job["checkpoints"] = [
        {
            "id": f"c{step}",
            "object": "fine_tuning.job.checkpoint",
            "created_at": 1,
            "fine_tuned_model_checkpoint": f"{name}:ckpt-step-{step}",
            "fine_tuning_job_id": job["id"],
            "step_number": step,
            "metrics": {"step": step, "train_loss": 1.0, "full_valid_loss": loss},
        }
        for step, loss in losses.items()
    ]


def loss_of(facts: JobFacts) -> tuple[float, int, str]:
    assert isinstance(facts.validation, ValidationLoss)
    found = facts.validation
    return found.full_valid_loss, found.step, found.source


def test_the_last_checkpoint_tells_the_validation_loss(
    client: openai.OpenAI, job: dict[str, Any]
) -> None:
    checkpoints(job, {10: 1.5, 30: 1.25, 20: 1.3})
    facts = ModelServer(client).job_facts(job["fine_tuned_model"])
    assert loss_of(facts) == (1.25, 30, "checkpoints")
    assert isinstance(facts.validation, ValidationLoss)
    assert facts.validation.unit == "nats per token"


def test_a_checkpoint_that_is_asked_tells_its_own(
    client: openai.OpenAI, job: dict[str, Any]
) -> None:
    checkpoints(job, {10: 1.5, 20: 1.25})
    facts = ModelServer(client).job_facts(f"{job['fine_tuned_model']}:ckpt-step-10")
    assert loss_of(facts) == (1.5, 10, "checkpoints")


def test_without_checkpoints_the_events_tell_it(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any]
) -> None:
    checkpoints(job, {10: None})
    for step, loss in ((10, 1.5), (20, 1.25)):
        data = {"step": step, "full_valid_loss": loss}
        server.say(job["id"], "Step", type="metrics", data=data)
    server.say(job["id"], "Step", type="metrics", data={"step": 30, "train_loss": 1})
    assert loss_of(ModelServer(client).job_facts(job["fine_tuned_model"])) == (
        1.25,
        20,
        "events",
    )


@pytest.mark.parametrize("in_base64", [True, False])
def test_a_result_file_tells_it_in_plain_or_in_base64(
    client: openai.OpenAI, job: dict[str, Any], *, in_base64: bool
) -> None:
    table = b"step,train_loss,full_valid_loss\n1,2.0,\n2,1.9,1.75\n3,1.8,\n"
    content = base64.b64encode(table) if in_base64 else table
    file = client.files.create(file=("results.csv", content), purpose="fine-tune")
    job["result_files"] = [file.id]
    found = loss_of(ModelServer(client).job_facts(job["fine_tuned_model"]))
    assert found == (1.75, 2, "result file")


def test_a_job_without_a_validation_file_has_none(
    client: openai.OpenAI, job: dict[str, Any]
) -> None:
    checkpoints(job, {10: 1.5})
    job["validation_file"] = None
    facts = ModelServer(client).job_facts(job["fine_tuned_model"])
    assert facts.validation == "its job had no validation file"


@pytest.mark.parametrize("loss", [None, float("nan")])
def test_a_job_that_tells_no_loss_is_no_zero(
    client: openai.OpenAI, job: dict[str, Any], loss: float | None
) -> None:
    checkpoints(job, {10: loss})
    facts = ModelServer(client).job_facts(job["fine_tuned_model"])
    assert facts.validation == "its job reports no loss of its validation file"


def test_a_loss_that_is_no_number_does_not_hide_the_one_before(
    client: openai.OpenAI, job: dict[str, Any]
) -> None:
    checkpoints(job, {10: 1.5, 20: float("nan")})
    found = loss_of(ModelServer(client).job_facts(job["fine_tuned_model"]))
    assert found == (1.5, 10, "checkpoints")


def test_what_it_was_trained_on_is_read_and_odd_rows_are_passed_over(
    client: openai.OpenAI, job: dict[str, Any]
) -> None:
    assert ModelServer(client).job_facts(job["fine_tuned_model"]).examples == [EXAMPLE]


def test_a_training_file_that_is_gone_is_not_known(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any]
) -> None:
    server.files.clear()
    facts = ModelServer(client).job_facts(job["fine_tuned_model"])
    assert facts.examples == "its training file cannot be read"


@pytest.mark.usefixtures("job")
def test_an_unknown_model_has_no_job(client: openai.OpenAI) -> None:
    facts = ModelServer(client).job_facts("somebody-elses")
    assert facts.examples == "the server has no job that made this model"
    assert facts.validation == facts.examples


@pytest.mark.parametrize("route", ["GET /fine_tuning/jobs", "GET .*"])
def test_a_server_without_jobs_has_none(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any], route: str
) -> None:
    server.routes_missing = (route,)
    facts = ModelServer(client).job_facts(job["fine_tuned_model"])
    assert facts.validation == "the server has no job that made this model"


def test_no_text_is_in_a_repr(client: openai.OpenAI, job: dict[str, Any]) -> None:
    assert "yo" not in repr(ModelServer(client).job_facts(job["fine_tuned_model"]))


def test_an_unfinished_job_of_a_suffix_is_cancelled_and_its_file_deleted(
    client: openai.OpenAI, server: OpenAIServer
) -> None:
    server.statuses = ("queued", "running")
    jobs = []
    for suffix in ("test", "mine"):
        file = client.files.create(file=("train.jsonl", b"{}"), purpose="fine-tune")
        made = client.fine_tuning.jobs.create(
            model=BASE_MODEL, training_file=file.id, suffix=suffix
        )
        server.jobs[made.id]["user_provided_suffix"] = suffix
        jobs.append(made)
    ModelServer(client).discard_jobs("test")
    assert [server.jobs[job.id]["status"] for job in jobs] == ["cancelled", "queued"]
    assert server.deleted == [jobs[0].training_file]


def test_finished_jobs_are_not_discarded(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any]
) -> None:
    job["user_provided_suffix"] = "test"
    ModelServer(client).discard_jobs("test")
    assert job["status"] == "succeeded"
    assert server.deleted == []


def upload(server: OpenAIServer, job: dict[str, Any], key: str, *said: str) -> None:
    """Let a job have had a file with one example."""
    roles = ("user", "assistant")
    messages = [
        {"role": roles[at % 2], "content": text} for at, text in enumerate(said)
    ]
    file_id = f"file-of-{key}"
    server.contents[file_id] = json.dumps({"messages": messages}).encode()
    server.files[file_id] = {
        **server.files[job["training_file"]],
        "id": file_id,
        "bytes": len(server.contents[file_id]),
    }
    job[key] = file_id


def test_both_halves_are_read_from_the_job(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any]
) -> None:
    upload(server, job, "validation_file", "well?", "no", "why?", "because")
    halves = halves_of_job(ModelServer(client), job["fine_tuned_model"])
    assert halves.examples == [EXAMPLE]
    assert [found.replies() for found in halves.data.training] == [["yo"]]
    assert [found.replies() for found in halves.data.held_out] == [["no", "because"]]
    assert halves.data.names is None


def test_a_job_that_held_nothing_out_has_nothing_to_compare_with(
    client: openai.OpenAI, job: dict[str, Any]
) -> None:
    job["validation_file"] = None
    with pytest.raises(TrainingDataError, match="its job had no validation file"):
        halves_of_job(ModelServer(client), job["fine_tuned_model"])


def test_examples_for_a_prompt_are_of_the_training_file_only(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any]
) -> None:
    upload(server, job, "training_file", "soup?", "with beans", "when?", "at eight")
    upload(server, job, "validation_file", "soup today?", "held out")
    index = pairs_of_job(ModelServer(client), job["fine_tuned_model"])
    assert [pair.reply for pair in index.nearest("any soup?", 9)] == [
        "at eight",
        "with beans",
    ]


@pytest.mark.parametrize("said", [(), ("hello?",)])
def test_without_examples_there_are_none_for_a_prompt(
    client: openai.OpenAI,
    server: OpenAIServer,
    job: dict[str, Any],
    said: tuple[str, ...],
) -> None:
    upload(server, job, "training_file", *said)
    if not said:
        server.files.clear()
    with pytest.raises(TrainingDataError, match="no examples of its training"):
        pairs_of_job(ModelServer(client), job["fine_tuned_model"])
