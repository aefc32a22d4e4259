"""The settings: what is stored is named before it is deleted."""

import threading
from pathlib import Path

import pytest
from nicegui.testing import User

from langchain_chatexports import FolderFacebookMessengerChatLoader, samples
from langchain_chatexports.local_server import Model
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.retrieval.index_files import IndexFile
from tests.unit_tests.page.test_conversation import open_talk

_SECONDS = 60


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Protect the developer's converted bases, which are outside the data directory."""
    monkeypatch.setattr(
        "langchain_chatexports.workflows.models.list_cache_folders", list
    )


@pytest.mark.asyncio
async def test_deletions_wait_for_each_other(
    rosa: Model, user: User, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was confirmed is dropped."""
    resume, deleted = threading.Event(), session.workspace.delete

    def delete(name: str) -> None:
        resume.wait(_SECONDS)
        deleted(name)

    monkeypatch.setattr(session.workspace, "delete", delete)
    await user.open("/settings")
    user.find(marker=f"delete-{rosa.name}").click()
    user.find(marker="ask").trigger("close", "confirm")
    await user.should_see("Deleting …")
    user.find(marker="forget").trigger("submit", "nobody")
    await user.should_see("Searching …")
    resume.set()
    await user.should_see("Deleted.", retries=20)
    await user.should_see("No person has this name.", retries=20)
    assert session.workspace.models.list() == ()


@pytest.mark.asyncio
async def test_deleted_talk_without_a_model_stays_deleted(
    user: User, german: PageSession
) -> None:
    """Not even an open tab brings it back."""
    conversation = await open_talk(german, "Mama")
    conversation.send("Bist du da?")
    assert conversation._saving is not None
    await conversation._saving
    await german.poller.refresh()
    await user.open("/settings")
    user.find(marker="forget").trigger("submit", "mama")
    await user.should_see("Deleted: 1 chat with this person.", retries=50)
    assert conversation.state.messages == ()
    conversation.set_draft("Und")
    await conversation._saving
    (talk,) = german.stored.people_talks.list()
    assert (talk.turns, talk.draft) == ([], "Und")


@pytest.mark.asyncio
async def test_model_is_deleted(rosa: Model, user: User, session: PageSession) -> None:
    await user.open("/settings")
    await user.should_see("writes like Rosa")
    user.find(marker=f"delete-{rosa.name}").click()
    await user.should_see("With it go its training")
    await user.should_see("What stays: your chats")
    user.find(marker="ask").trigger("close", "confirm")
    await user.should_see("There are no models on this computer yet.", retries=20)
    await user.should_see("Deleted.")
    assert session.workspace.snapshot().files == ()


@pytest.mark.asyncio
async def test_model_that_another_tab_deleted_is_deleted(
    rosa: Model, user: User, session: PageSession
) -> None:
    await user.open("/settings")
    user.find(marker=f"delete-{rosa.name}").click()
    session.workspace.delete(rosa.name)
    user.find(marker="ask").trigger("close", "confirm")
    await user.should_see("Deleted.", retries=20)
    await user.should_not_see("Something went wrong.")


@pytest.mark.asyncio
async def test_indexes_with_person_are_deleted(user: User, tmp_path: Path) -> None:
    export = samples.write_messenger(tmp_path / "hogwarts")
    file = IndexFile(tmp_path / "indexes", [export])
    with file.open() as index:
        file.rebuild(index, FolderFacebookMessengerChatLoader(path=export))
    await user.open("/settings")
    user.find(marker="forget").trigger("submit", "Hermione Granger")
    await user.should_see("Searching no longer finds this person", retries=50)
    await user.should_see("No model on this computer knows this person.")
    assert not file.path.exists()


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
    user.find(marker="ask").trigger("close", "confirm")
    await user.should_see("Deleted.", retries=20)
    assert session.workspace.models.list() == ()


@pytest.mark.asyncio
async def test_everything_is_deleted_after_it_was_counted(
    rosa: Model, user: User, session: PageSession
) -> None:
    assert rosa.person
    await user.open("/settings")
    user.find("Delete everything …").click()
    await user.should_see("1 model · ")
    user.find(marker="ask").trigger("close", "confirm")
    await user.should_see("Deleted: 1 model", retries=50)
    stored = session.workspace.snapshot()
    assert (stored.jobs, stored.models, stored.files) == ((), (), ())
