"""The screen of a talk."""

import asyncio
from datetime import datetime, timedelta
from typing import NoReturn

import pytest
from nicegui import ui
from nicegui.testing import User

from langchain_chatexports.local_server import Model, NoConnectionError
from langchain_chatexports.page import conversation
from langchain_chatexports.page.bubbles import cited_text, is_emoji, put_field
from langchain_chatexports.page.messages import to_messages
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.personas.talk import Turn
from langchain_chatexports.workflows.saved_talks import TalkFolder, model_talks
from tests.unit_tests.builders.workspaces import add_job
from tests.unit_tests.page.test_conversation import until

_TALK = f"/talk/{person_key('Rosa')}"


def test_days_and_groups() -> None:
    now = datetime.now().astimezone().replace(hour=12)
    times = [now - timedelta(days=1), now, now + timedelta(minutes=1)]
    times.append(now + timedelta(minutes=20))
    sent = [time.timestamp() for time in times]
    turn = Turn("\n\n".join("abcde"), sent=sent)
    messages = [*to_messages({1: turn}, "after")]
    assert [(m.is_new_day, m.is_later) for m in messages] == [
        *((True, True), (True, True)),
        *((False, False), (False, True), (False, False)),
    ]
    assert len({message.key for message in messages}) == len(messages)


@pytest.mark.parametrize(
    ("text", "is_large"),
    [("😀", True), ("👍🏽", True), ("❤️😀", True), ("😀😀😀😀", False), ("ok", False)],
)
def test_few_emoji_are_large(text: str, *, is_large: bool) -> None:
    assert is_emoji(text) == is_large


def test_field_replaces_all_messages_of_a_side() -> None:
    turns = {1: Turn("hello", "hi\n\nit is you"), 2: Turn("yes")}
    messages = to_messages(turns, "after")
    shown = [(m.text, m.is_edited) for m in put_field(messages, (1, "model"))]
    assert shown == [("hello", False), ("hi", True), ("yes", False)]


def test_remembered_line_has_a_readable_date() -> None:
    text = cited_text("2025-04-04 21:36 Mama: Ja: morgen")
    assert text == "Mama, April 4, 2025: Ja: morgen"
    assert cited_text("Mama: Ja") == "Mama: Ja"


@pytest.mark.asyncio
async def test_all_tabs_show_the_same_talk(rosa: Model, user: User) -> None:
    del rosa
    await user.open(_TALK)
    other = User(user.http_client)
    await other.open(_TALK)
    for tab in (user, other):
        await tab.should_see("This is a model that writes like Rosa")
        await tab.should_see("written by a model on this computer")
    user.find(marker="composer").trigger("submit", "from one tab")
    other.find(marker="composer").trigger("submit", "from the other")
    for tab in (user, other):
        await tab.should_see("from one tab", retries=100)
        await tab.should_see("from the other", retries=100)
        await tab.should_not_see("This is a model that writes like Rosa")
    await user.should_see(kind=ui.element, content="Model of Rosa: ", retries=200)
    await user.should_not_see("Try again")


@pytest.mark.asyncio
async def test_long_talk_shows_its_end(rosa: Model, user: User) -> None:
    turns = [Turn(f"line {n}.", f"answer {n}.") for n in range(100)]
    model_talks(rosa).save("1", turns, draft="half a mess")
    await user.open(_TALK)
    await user.should_see("line 99.")
    await user.should_see("half a mess")
    await user.should_see("line 70.")
    await user.should_not_see("line 69.")
    user.find("Earlier messages").click()
    await user.should_see("line 40.")
    await user.should_not_see("line 39.")


@pytest.mark.asyncio
async def test_chat_is_deleted_after_a_question(rosa: Model, user: User) -> None:
    model_talks(rosa).save("1", [Turn("hello", "hi")])
    await user.open(_TALK)
    await user.should_see("hello")
    user.find("Delete chat …").click()
    user.find(marker="ask").trigger("close", "confirm")
    await user.should_see("This is a model that writes like Rosa", retries=50)
    assert model_talks(rosa).list() == []


@pytest.mark.asyncio
async def test_bubble_menu_edits_and_deletes(rosa: Model, user: User) -> None:
    model_talks(rosa).save("1", [Turn("hello", "hi"), Turn("second", "yes")])
    await user.open(_TALK)
    await user.should_see("second")
    user.find(marker="bubble-menu").trigger("pick", ["delete", "2"])
    await user.should_see("Delete this message and all that follows?")
    user.find(marker="ask").trigger("close", "confirm")
    await user.should_not_see("second", retries=50)
    user.find(marker="bubble-menu").trigger("pick", ["edit", "1"])
    await user.should_see("Later messages are removed")
    await user.should_see("hi")  # Only the own message is a field.
    user.find(marker="edit").trigger("submit", "good evening")
    await user.should_see("good evening", retries=50)
    await user.should_not_see("Later messages are removed")


@pytest.mark.asyncio
async def test_earlier_chat_is_opened(rosa: Model, user: User) -> None:
    model_talks(rosa).save("1", [Turn("old times", "how good")])
    await asyncio.sleep(0.02)
    model_talks(rosa).save("2", [Turn("new times", "yes")])
    await user.open(_TALK)
    await user.should_see("new times")
    await user.should_not_see("how good")
    user.find("Earlier chats").click()
    await user.should_see("1 answer")
    user.find(marker="talk-1").click()
    await user.should_see("how good", retries=50)


@pytest.mark.asyncio
async def test_talk_whose_model_was_deleted_elsewhere(
    rosa: Model, user: User, session: PageSession
) -> None:
    await user.open(_TALK)
    await user.should_see("written by a model on this computer")
    session.workspace.delete(rosa.name)
    await user.should_see("This model was deleted, and its chats with it.", retries=50)
    await user.open(_TALK)
    await user.should_see("Drop files and folders anywhere")


@pytest.mark.asyncio
async def test_strength_is_a_slider(
    rosa: Model, user: User, session: PageSession
) -> None:
    del rosa
    await user.open(_TALK)
    user.find("How much it writes like Rosa").click()
    await user.should_see("more sense")
    user.find(marker="strength").trigger("change", "0.35")
    models = session.workspace.models
    await until(lambda: models.list()[0].strength == 0.35)


@pytest.mark.asyncio
async def test_words_are_found_in_the_chat(rosa: Model, user: User) -> None:
    turns = [Turn(f"line {n}.", f"answer {n}.", cited=["Ja"]) for n in range(100)]
    model_talks(rosa).save("1", turns)
    await user.open(_TALK)
    await user.should_not_see("line 7.")
    user.find("Search in this chat").click()
    user.find(marker="words").trigger("input", "LINE 7.")
    await user.should_see("1 message", retries=50)
    await user.should_see("line 7.")
    await user.should_see("Show what it remembered")


@pytest.mark.asyncio
async def test_another_export_ends_no_talk(
    rosa: Model, user: User, session: PageSession
) -> None:
    model_talks(rosa).save("1", [Turn("hello", "hi")])
    await user.open(_TALK)
    session.add_sample()
    await user.should_see("Draco Malfoy", retries=100)
    await user.should_see("hello")


@pytest.mark.asyncio
async def test_message_without_an_answer_is_said(rosa: Model, user: User) -> None:
    # The program was killed.
    model_talks(rosa).save("1", [Turn("are you there?")])
    await user.open(_TALK)
    await user.should_see("Stopped.")
    user.find("Try again").click()
    await user.should_see("Model of Rosa: ", retries=100)


@pytest.mark.asyncio
async def test_full_disk_is_said(
    rosa: Model, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    del rosa
    await user.open(_TALK)
    monkeypatch.setattr(TalkFolder, "save", fail)
    user.find(marker="composer").trigger("submit", "hello")
    await user.should_see("The disk is full or almost full.", retries=100)
    await user.should_see("hello")
    monkeypatch.undo()


@pytest.mark.asyncio
async def test_missing_network_is_said(
    german: PageSession, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        msg = "any text"
        raise NoConnectionError(msg)

    del german
    monkeypatch.setattr(conversation, "download_base", fail)
    await user.open(f"/talk/{person_key('Mama')}")
    await user.should_see("this computer needs a language model", retries=200)
    user.find("Download").click()
    await user.should_see("no connection to huggingface.co", retries=100)
    await user.should_see("Try the download again")


@pytest.mark.asyncio
async def test_why_nobody_answers_yet_is_said(user: User, session: PageSession) -> None:
    hyperparameters = {"steps": 500, "step_seconds": 0.05}
    metadata = {"langchain_chatexports_person": "Rosa"}
    job = add_job(session.workspace, hyperparameters=hyperparameters, metadata=metadata)
    await user.open(_TALK)
    await user.should_see("This person is still learning.")
    session.workspace.jobs.pause(job.id)
    await user.should_see("Learning has stopped.", retries=50)
