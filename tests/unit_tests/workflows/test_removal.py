"""Forgetting a person: indexes, models, training runs and examples."""

import io
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import delete_remaining, forget, list_data
from langchain_chatexports.workflows.search import open_index
from tests.unit_tests.builders.tiny_base import as_jsonl
from tests.unit_tests.builders.tuned_models import write_model


def test_indexes_of_the_person_are_deleted(tmp_path: Path) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    index_dir = tmp_path / "indexes"
    with open_index(chats, index_dir=index_dir):
        pass
    data_dir = tmp_path / "data"
    done = forget(None, people=["Hare"], data_dir=data_dir, index_dir=index_dir)
    assert len(done.indexes) == 1
    assert list_data(data_dir, index_dir).indexes == []


def _upload(data: DataDirectory, text: str) -> str:
    message = {"role": "user", "content": text}
    answer = {"role": "assistant", "content": "yes"}
    lines = io.BytesIO(as_jsonl([{"messages": [message, answer]}]))
    return str(FileStore(data).create(lines, filename="set.jsonl")["id"])


def test_models_jobs_and_examples_are_deleted(tmp_path: Path) -> None:
    voice = write_model(tmp_path, "1" * 12, person="Zoë Quark")
    other = write_model(tmp_path, "2" * 12, person="Tortoise")
    data = DataDirectory(tmp_path)
    named = _upload(data, "Zoë Quark is here. Come over.")
    unused = _upload(data, "Ask Zoë Quark.")
    request = {"training_file": named, "metadata": {}, "model": "tiny"}
    job = JobStore(data).create(request)["id"]
    JobStore(data).stop(job, "paused")
    index_dir = tmp_path / "indexes"
    done = forget(None, people=["zoë quark"], data_dir=tmp_path, index_dir=index_dir)
    assert [(one.id, one.kind, one.reason) for one in done.remaining] == [
        (voice, "model", "person"),
        (job, "training", "text"),
        (unused, "examples", "text"),
    ]
    assert delete_remaining(done.remaining, tmp_path) == done.remaining
    assert delete_remaining(done.remaining[:2], tmp_path) == []
    data_left = list_data(tmp_path, index_dir)
    assert [model.name for model in data_left.models] == [other]
    assert len(data_left.jobs) == len(data_left.sets) == 1
    with pytest.raises(SenderNotFoundError):
        forget(None, people=["zoë quark"], data_dir=tmp_path, index_dir=index_dir)
