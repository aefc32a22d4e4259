"""Who is forgotten where: indexes, and what on this machine was made of their words."""

import io
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import SenderNotFoundError
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.workflows import delete_known, forget, kept
from langchain_chatexports.workflows.search import open_index
from tests.unit_tests.builders.kept_models import keep_model
from tests.unit_tests.builders.tiny_base import as_jsonl


def test_without_a_set_indexes_that_have_the_person_are_deleted(tmp_path: Path) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    index_dir = tmp_path / "indexes"
    with open_index(chats, index_dir=index_dir):
        pass
    done = forget(
        None, people=["Hare"], data_dir=tmp_path / "data", index_dir=index_dir
    )
    assert len(done.indexes) == 1
    assert kept(tmp_path / "data", index_dir).indexes == []


def _upload(data: DataDirectory, text: str) -> str:
    message = {"role": "user", "content": text}
    answer = {"role": "assistant", "content": "yes"}
    lines = io.BytesIO(as_jsonl([{"messages": [message, answer]}]))
    return str(FileStore(data).create(lines, filename="set.jsonl")["id"])


def test_models_trainings_and_examples_that_know_a_person_are_found_and_deleted(
    tmp_path: Path,
) -> None:
    voice = keep_model(tmp_path, "1" * 12, person="Zoë Quark")
    other = keep_model(tmp_path, "2" * 12, person="Tortoise")
    data = DataDirectory(tmp_path)
    named = _upload(data, "Zoë Quark is here. Come over.")
    unused = _upload(data, "Ask Zoë Quark.")
    order = {"training_file": named, "metadata": {}, "model": "tiny"}
    job = JobStore(data).create(order, private={}, events=[])["id"]
    JobStore(data).stop(job, "paused")
    index_dir = tmp_path / "indexes"
    done = forget(None, people=["zoë quark"], data_dir=tmp_path, index_dir=index_dir)
    assert [(one.id, one.kind, one.reason) for one in done.known_by] == [
        (voice, "model", "voice"),
        (job, "training", "text"),
        (unused, "examples", "text"),
    ]
    assert delete_known(done.known_by, tmp_path) == done.known_by
    assert delete_known(done.known_by[:2], tmp_path) == []
    left = kept(tmp_path, index_dir)
    assert [model.name for model in left.models] == [other]
    assert len(left.jobs) == len(left.sets) == 1
    with pytest.raises(SenderNotFoundError):
        forget(None, people=["zoë quark"], data_dir=tmp_path, index_dir=index_dir)
