"""The actions of the screen Manage, without a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader, samples
from langchain_chatexports.local_server import Workspace, job_labels
from langchain_chatexports.page import manage
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.retrieval.index_files import IndexFile
from tests.unit_tests.builders.workspaces import add_model

_SECONDS = 60


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protect the developer's converted bases, which are outside the data directory."""
    monkeypatch.setattr(
        "langchain_chatexports.workflows.models.list_cache_folders", list
    )


@pytest.fixture
def session(tmp_path: Path) -> Iterator[PageSession]:
    suffix, metadata = job_labels("Hare", "imessage chat.db")
    add_model(Workspace(tmp_path / "data"), suffix=suffix, metadata=metadata)
    with PageSession(None, tmp_path / "data", tmp_path / "indexes") as session:
        yield session


def _run(action: Callable[..., None], session: PageSession, *args: Any) -> str:
    """Run an action to its end, and return its error."""
    action(session, *args)
    session.managing.join(_SECONDS)
    return str(session.managing.error)


def test_unknown_model_is_an_error(session: PageSession) -> None:
    error = _run(manage.delete, session, "ft:another")
    assert "No model named 'ft:another'" in error


def test_indexes_with_person_are_deleted(session: PageSession, tmp_path: Path) -> None:
    export = samples.write_messenger(tmp_path / "hogwarts")
    file = IndexFile(tmp_path / "indexes", [export])
    with file.open() as index:
        file.rebuild(index, FolderFacebookMessengerChatLoader(path=export))
    _run(manage.forget, session, "Hermione Granger")
    assert session.forget_result is not None
    assert session.forget_result.indexes == [file.path]
    assert session.forget_result.remaining == []
    assert not file.path.exists()


def test_model_with_person_is_found_and_deleted(session: PageSession) -> None:
    (model,) = session.snapshot.models
    _run(manage.forget, session, "hare")
    assert session.forget_result is not None
    (remaining,) = session.forget_result.remaining
    assert (remaining.id, remaining.reason) == (model.name, "person")
    _run(manage.delete_remaining, session, [remaining])
    assert [*map(str, session.manage_results)] == [f"Deleted: Model {model.title}"]
    assert session.snapshot.models == ()


def test_forget_requires_a_name(session: PageSession) -> None:
    assert "Enter the name of the person" in _run(manage.forget, session, " ")
    assert session.manage_results == []


def test_export_requires_a_new_folder(session: PageSession, tmp_path: Path) -> None:
    (model,) = session.snapshot.models
    assert "already exists" in _run(manage.export, session, model, str(tmp_path))
    assert "Enter the folder" in _run(manage.export, session, model, " ")
