"""What a hosted job says of itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest

from langchain_chatexports.evaluation import ModelServer, data_of_job
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


def examples(client: openai.OpenAI, model: str) -> Any:
    return ModelServer(client).job_files(model)[0]


@pytest.mark.parametrize("suffix", ["", ":ckpt-step-10"])
def test_what_it_was_trained_on_is_read_and_odd_rows_are_passed_over(
    client: openai.OpenAI, job: dict[str, Any], suffix: str
) -> None:
    assert examples(client, f"{job['fine_tuned_model']}{suffix}") == [EXAMPLE]


def test_a_training_file_that_is_gone_is_not_known(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any]
) -> None:
    server.files.clear()
    found = examples(client, job["fine_tuned_model"])
    assert found == "its training file cannot be read"


@pytest.mark.usefixtures("job")
def test_an_unknown_model_has_no_job(client: openai.OpenAI) -> None:
    assert examples(client, "none") == "the server has no job that made this model"


@pytest.mark.parametrize("route", ["GET /fine_tuning/jobs", "GET .*"])
def test_a_server_without_jobs_has_none(
    client: openai.OpenAI, server: OpenAIServer, job: dict[str, Any], route: str
) -> None:
    server.routes_missing = (route,)
    found = examples(client, job["fine_tuned_model"])
    assert found == "the server has no job that made this model"


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
    data = data_of_job(ModelServer(client), job["fine_tuned_model"])
    assert [found.replies() for found in data.training] == [["yo"]]
    assert [found.replies() for found in data.held_out] == [["no", "because"]]
    assert "because" not in repr(data)


def test_a_job_that_held_nothing_out_has_nothing_to_compare_with(
    client: openai.OpenAI, job: dict[str, Any]
) -> None:
    job["validation_file"] = None
    with pytest.raises(TrainingDataError, match="its job had no validation file"):
        data_of_job(ModelServer(client), job["fine_tuned_model"])
