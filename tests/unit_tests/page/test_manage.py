"""What the screen of kept data changes, without a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader, samples
from langchain_chatexports.local_server import list_models
from langchain_chatexports.page import manage
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.retrieval.index_files import IndexFile
from tests.unit_tests.builders.kept_models import keep_model

_SECONDS = 60


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is deleted here, but not the developer's converted bases."""
    monkeypatch.setattr("langchain_chatexports.workflows.models.caches", list)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[PageSession]:
    keep_model(tmp_path / "data", "97c300000001", suffix="hare", person="Hare")
    with PageSession(None, tmp_path / "data", tmp_path / "indexes") as session:
        yield session


def _index(tmp_path: Path) -> Path:
    """Write a search index of the Messenger sample."""
    export = samples.write_messenger(tmp_path / "hogwarts")
    file = IndexFile(tmp_path / "indexes", [export])
    with file.open() as index:
        file.rebuild(index, FolderFacebookMessengerChatLoader(path=export))
    return file.path


def test_a_talk_with_a_deleted_model_ends(session: PageSession) -> None:
    (session.talk.model,) = list_models(session.data_dir)
    manage.delete(session, "ft:another")
    session.managing.join(_SECONDS)
    assert "no model or job ft:another" in str(session.managing.error)
    assert session.talk.model is not None
    manage.delete(session, session.talk.model.name)
    session.managing.join(_SECONDS)
    assert session.talk.model is None


def test_indexes_with_a_person_are_deleted(
    session: PageSession, tmp_path: Path
) -> None:
    file = _index(tmp_path)
    manage.forget(session, "Hermione Granger")
    session.managing.join(_SECONDS)
    done = session.forgotten
    assert done is not None
    assert done.indexes == [file]
    assert done.known_by == []
    assert not file.exists()


def test_a_model_that_knows_a_person_is_found_and_deleted_with_its_talk(
    session: PageSession,
) -> None:
    (model,) = list_models(session.data_dir)
    (session.talk.model,) = list_models(session.data_dir)
    manage.forget(session, "hare")
    session.managing.join(_SECONDS)
    done = session.forgotten
    assert done is not None
    assert [(one.id, one.reason) for one in done.known_by] == [(model.name, "voice")]
    manage.delete_known(session, done.known_by)
    session.managing.join(_SECONDS)
    assert [*map(str, session.managed)] == [f"Deleted: The model {model.title}"]
    assert list_models(session.data_dir) == []
    assert session.talk.model is None


def test_nobody_is_forgotten_without_a_name(session: PageSession) -> None:
    manage.forget(session, " ")
    session.managing.join(_SECONDS)
    assert "Name the person" in str(session.managing.error)
    assert session.managed == []


def test_a_model_is_not_exported_over_a_folder(
    session: PageSession, tmp_path: Path
) -> None:
    (model,) = list_models(session.data_dir)
    manage.export(session, model, str(tmp_path))
    session.managing.join(_SECONDS)
    assert "is there already" in str(session.managing.error)
    manage.export(session, model, " ")
    session.managing.join(_SECONDS)
    assert "Name the folder to write." in str(session.managing.error)
