"""Correcting a reply on the page."""

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest
from nicegui.testing import User

from langchain_chatexports.local_server import Model
from langchain_chatexports.page.bubbles import cited_text
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.personas import Corrections
from langchain_chatexports.personas.talk import Turn
from langchain_chatexports.workflows.saved_talks import model_talks
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.page.conftest import BASE
from tests.unit_tests.page.test_conversation import answered, open_talk, texts, until

pytestmark = pytest.mark.asyncio

_TALK = f"/talk/{person_key('Rosa')}"


def kept(model: Model) -> list[tuple[str, str, str]]:
    assert model.folder is not None
    found = Corrections(model.folder / "corrections.jsonl")
    return [(each.question, each.said, each.better) for each in found]


async def test_talk_goes_on_from_the_correction(
    rosa: Model, session: PageSession
) -> None:
    model_talks(rosa).save("1", [Turn("hello", "hi"), Turn("tea?", "no\n\nnever")])
    talk = await open_talk(session, "Rosa")
    ids = [message.turn for message in talk.state.messages]
    assert await talk.correct(ids[0], " Hi!\nIt is you ") is None
    assert texts(talk)[1:3] == [("model", "Hi!"), ("model", "It is you")]
    marks = [message.is_corrected for message in talk.state.messages]
    assert marks == [False, True, True, False, False, False]
    talk.send("and now?")
    await answered(talk)
    (saved,) = model_talks(rosa).list()
    assert saved.turns[0].is_corrected
    assert saved.turns[0].answer == "Hi!\n\nIt is you"
    assert kept(rosa) == [("hello", "hi", "Hi!\nIt is you")]


async def test_empty_correction_is_answered_again(
    rosa: Model, session: PageSession
) -> None:
    model_talks(rosa).save("1", [Turn("tea?", "never")])
    talk = await open_talk(session, "Rosa")
    assert await talk.correct(talk.state.messages[0].turn, " ") is None
    await answered(talk)
    assert texts(talk) == [("me", "tea?"), ("model", "tea?")]
    assert kept(rosa) == [("tea?", "never", "")]


async def test_deleted_message_cannot_be_corrected(
    rosa: Model, session: PageSession
) -> None:
    model_talks(rosa).save("1", [Turn("tea?", "never")])
    talk = await open_talk(session, "Rosa")
    turn = talk.state.messages[0].turn
    talk.delete_from(turn)
    failure = await talk.correct(turn, "always")
    assert failure is not None
    assert "deleted" in str(failure.message)
    assert kept(rosa) == []


async def test_full_disk_keeps_the_text(
    rosa: Model, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    model_talks(rosa).save("1", [Turn("tea?", "never")])
    await user.open(_TALK)
    await user.should_see("never")
    user.find(marker="bubble-menu").trigger("pick", ["correct", "1"])
    await user.should_see("What would Rosa write?")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        user.find(marker="edit").trigger("submit", "always")
        await user.should_see("The disk is full", retries=50)
    await user.should_see("What would Rosa write?")
    user.find(marker="edit").trigger("submit", "always")
    await until(lambda: kept(rosa) == [("tea?", "never", "always")])
    await user.should_see("✎", retries=50)
    await user.should_not_see("What would Rosa write?")


async def test_canceled_correction_is_there_again(rosa: Model, user: User) -> None:
    model_talks(rosa).save("1", [Turn("tea?", "never")])
    await user.open(_TALK)
    await user.should_see("never")
    user.find(marker="bubble-menu").trigger("pick", ["correct", "1"])
    await user.should_see("What would Rosa write?")
    user.find(marker="cancel").trigger("click", "alwa")
    await user.should_not_see("What would Rosa write?")
    await user.should_see("never")
    assert kept(rosa) == []
    await user.open(_TALK)  # As after a reload, or in another tab.
    await user.should_see("never")
    user.find(marker="bubble-menu").trigger("pick", ["correct", "1"])
    await user.should_see("alwa")


async def test_untrained_person_is_corrected(
    session: PageSession, tmp_path: Path
) -> None:
    chat = WhatsAppChat.ios()
    for number in range(20):
        chat.says("Jonas", f"How are you today, {number}?")
        chat.says("Mama", f"I am not well yet, {number}.")
    session.exports.add([chat.to_file(tmp_path / "_chat.txt")])
    session.exports.join(30)
    session.base = BASE
    talk = await open_talk(session, "Mama")
    talk.send("tea?")
    await answered(talk)
    turn = talk.state.messages[0].turn
    assert await talk.correct(turn, "always") is None
    (file,) = (tmp_path / "indexes" / "corrections").glob("*.jsonl")
    (correction,) = Corrections(file)
    assert (correction.person, correction.better) == ("Mama", "always")
    talk.send("more tea?")
    await answered(talk)
    assert talk.state.messages[-1].cited == ("corrected by you: always",)


async def test_citation_is_in_the_language_of_the_page() -> None:
    assert cited_text("corrected by you: Ja") == "corrected by you: Ja"
