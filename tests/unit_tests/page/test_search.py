"""Search in one's own chats."""

from pathlib import Path

import pytest
from nicegui.testing import User

from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from tests.unit_tests.builders.whatsapp import WhatsAppChat

pytestmark = pytest.mark.asyncio


@pytest.fixture
def chats(session: PageSession, tmp_path: Path) -> PageSession:
    """Two chats, with Mama and with Tim."""
    for name in ("Mama", "Tim"):
        chat = WhatsAppChat.android()
        for number in range(5):
            chat.says("Lena", f"Welche Suppe gibt es bei {name}, {number}?")
            chat.says(name, f"Linsensuppe von {name}, {number}.")
        session.exports.add([chat.to_file(tmp_path / f"WhatsApp Chat with {name}.txt")])
    session.exports.join(60)
    return session


async def test_quotes_have_sender_and_day(user: User, chats: PageSession) -> None:
    assert chats.exports.paths()
    await user.open("/search")
    user.find(marker="search").trigger("submit", "Linsensuppe")
    await user.should_see("messages with “Linsensuppe”", retries=50)
    await user.should_see("Linsensuppe von Mama, 0.")
    await user.should_see("Linsensuppe von Tim, 0.")
    await user.should_see("Lena: Welche Suppe gibt es bei Tim")
    user.find(marker="search").trigger("submit", "Kürbis")
    await user.should_see("Nothing found with “Kürbis”.", retries=50)
    await user.should_not_see("Linsensuppe von Mama, 0.")


async def test_before_a_search_there_is_no_progress(
    user: User, chats: PageSession
) -> None:
    assert chats.exports.paths()
    await user.open("/search")
    await user.should_see(marker="search")
    await user.should_not_see(marker="progress")


async def test_search_of_a_person(user: User, chats: PageSession) -> None:
    assert chats.exports.paths()
    await user.open(f"/search?person={person_key('Mama')}")
    await user.should_see("Search in your chats with Mama")
    user.find(marker="search").trigger("submit", "Linsensuppe")
    await user.should_see("Linsensuppe von Mama, 0.", retries=50)
    await user.should_not_see("Linsensuppe von Tim, 0.")


async def test_index_is_in_the_private_folder(user: User, chats: PageSession) -> None:
    await user.open("/search")
    user.find(marker="search").trigger("submit", "Suppe")
    await user.should_see("messages with", retries=50)
    assert [*chats.search_dir.glob("*.chatindex")]
    assert not [*(chats.index_dir or Path()).glob("*.chatindex")]


async def test_without_chats_they_are_asked_for(user: User) -> None:
    await user.open("/search")
    await user.should_see("The chats are not here")
