"""The settings: what is stored is named before it is deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nicegui.testing import User

from langchain_chatexports import FolderFacebookMessengerChatLoader, samples
from langchain_chatexports.local_server import Model
from langchain_chatexports.page import changes
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.retrieval.index_files import IndexFile

_SECONDS = 60


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protect the developer's converted bases, which are outside the data directory."""
    monkeypatch.setattr(
        "langchain_chatexports.workflows.models.list_cache_folders", list
    )


def _run(action: Callable[..., None], session: PageSession, *args: Any) -> str:
    """Run an action to its end, and return its error."""
    action(session, *args)
    session.managing.join(_SECONDS)
    return str(session.managing.error)


def test_unknown_model_is_an_error(session: PageSession) -> None:
    error = _run(changes.delete_stored, session, "ft:another")
    assert "No model named 'ft:another'" in error


def test_indexes_with_person_are_deleted(session: PageSession, tmp_path: Path) -> None:
    export = samples.write_messenger(tmp_path / "hogwarts")
    file = IndexFile(tmp_path / "indexes", [export])
    with file.open() as index:
        file.rebuild(index, FolderFacebookMessengerChatLoader(path=export))
    _run(changes.forget, session, "Hermione Granger")
    assert session.outcome is not None
    assert session.outcome.found is not None
    assert session.outcome.found.indexes == [file.path]
    assert session.outcome.found.remaining == []
    assert not file.path.exists()


def test_export_requires_a_new_folder(
    rosa: Model, session: PageSession, tmp_path: Path
) -> None:
    assert "already exists" in _run(changes.export, session, rosa, str(tmp_path))
    assert "Enter the folder" in _run(changes.export, session, rosa, " ")


@pytest.mark.asyncio
async def test_model_is_renamed_and_deleted(
    rosa: Model, user: User, session: PageSession
) -> None:
    await user.open("/settings")
    await user.should_see("writes like Rosa")
    user.find("Rename").click()
    user.find(marker="ask").trigger("close", ["confirm", "My Rosa"])
    await user.should_see("My Rosa", retries=20)
    user.find(marker=f"delete-{rosa.name}").click()
    await user.should_see("With it go its training")
    await user.should_see("What stays: your chats")
    user.find(marker="ask").trigger("close", ["confirm", ""])
    await user.should_see("There are no models on this computer yet.", retries=20)
    await user.should_see("Deleted.")
    assert session.workspace.snapshot().files == ()


@pytest.mark.asyncio
async def test_person_is_forgotten_by_enter(
    rosa: Model, user: User, session: PageSession
) -> None:
    assert rosa.person
    await user.open("/settings")
    user.find(marker="forget").trigger("submit", "nobody")
    await user.should_see("No person has this name.", retries=20)
    user.find(marker="forget").trigger("submit", "rosa")
    await user.should_see("What still knows this person:", retries=20)
    await user.should_see("it writes like this person")
    user.find("Delete these, too …").click()
    await user.should_see("Delete 1 item?")
    user.find(marker="ask").trigger("close", ["confirm", ""])
    await user.should_see("Deleted: The model Rosa", retries=20)
    assert session.workspace.models.list() == ()


@pytest.mark.asyncio
async def test_everything_is_deleted_after_it_was_counted(
    rosa: Model, user: User, session: PageSession
) -> None:
    assert rosa.person
    await user.open("/settings")
    user.find("Delete everything …").click()
    await user.should_see("1 model, ")
    user.find(marker="ask").trigger("close", ["confirm", ""])
    await user.should_see("Deleted: 1 model", retries=50)
    stored = session.workspace.snapshot()
    assert (stored.jobs, stored.models, stored.files) == ((), (), ())
