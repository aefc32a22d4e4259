"""Forgetting a person: indexes, models, training runs and examples."""

from pathlib import Path

import pytest

from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.local_server import Workspace, job_labels
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import delete_remaining, forget, list_data
from langchain_chatexports.workflows.search import open_index
from tests.unit_tests.builders.tiny_base import as_jsonl
from tests.unit_tests.builders.workspaces import add_job, add_model


def test_indexes_of_the_person_are_deleted(
    workspace: Workspace, tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    index_dir = tmp_path / "indexes"
    with open_index(chats, index_dir=index_dir):
        pass
    done = forget(None, people=["Hare"], workspace=workspace, index_dir=index_dir)
    assert len(done.indexes) == 1
    assert list_data(workspace, index_dir).indexes == []


def _upload(workspace: Workspace, text: str) -> str:
    message = {"role": "user", "content": text}
    answer = {"role": "assistant", "content": "yes"}
    lines = as_jsonl([{"messages": [message, answer]}])
    return workspace.files.create(lines).id


def _labels(person: str) -> dict[str, str]:
    return job_labels(person, "chat.db")[1]


def test_models_jobs_and_examples_are_deleted(
    workspace: Workspace, tmp_path: Path
) -> None:
    voice = add_model(workspace, mark="1", metadata=_labels("Zoë Quark")).name
    other = add_model(workspace, mark="2", metadata=_labels("Tortoise")).name
    named = _upload(workspace, "Zoë Quark is here. Come over.")
    unused = _upload(workspace, "Ask Zoë Quark.")
    job = add_job(workspace, training_file=named).id
    workspace.jobs.pause(job)
    index_dir = tmp_path / "indexes"
    names = ["zoë quark"]
    done = forget(None, people=names, workspace=workspace, index_dir=index_dir)
    assert [(one.id, one.kind, one.reason) for one in done.remaining] == [
        (voice, "model", "person"),
        (job, "training", "text"),
        (unused, "examples", "text"),
    ]
    assert delete_remaining(done.remaining, workspace) == done.remaining
    assert delete_remaining(done.remaining[:2], workspace) == []
    left = workspace.snapshot()
    assert [model.name for model in left.models] == [other]
    assert len(left.jobs) == len(left.files) == 1
    with pytest.raises(SenderNotFoundError):
        forget(None, people=names, workspace=workspace, index_dir=index_dir)
