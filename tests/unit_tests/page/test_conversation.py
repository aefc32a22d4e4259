"""A talk: sending at any time, stopping, keeping, and what is missing."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.local_server import (
    Base,
    BaseChoice,
    Model,
    NoConnectionError,
)
from langchain_chatexports.page import conversation as conversation_module
from langchain_chatexports.page import speakers
from langchain_chatexports.page.conversation import Conversation, Conversations
from langchain_chatexports.page.people import find_person, list_people, person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.speakers import SpeakerLoader
from langchain_chatexports.personas.talk import Turn
from langchain_chatexports.workflows.saved_talks import TalkFolder, model_talks
from langchain_chatexports.workflows.talk import Speaker, load_tuned_speaker
from tests.unit_tests.page.conftest import BASE, SlowServer

pytestmark = pytest.mark.asyncio

_SECONDS = 30


async def until(condition: Callable[[], Any]) -> None:
    """Wait on the event loop."""
    async with asyncio.timeout(_SECONDS):
        while not condition():  # noqa: ASYNC110 - of a thread, too
            await asyncio.sleep(0.01)


async def open_talk(session: PageSession, name: str) -> Conversation:
    await session.poller.refresh()
    person = find_person(session.published.value, person_key(name))
    assert person is not None
    conversation = Conversations(session).get(person)
    await conversation.open()
    return conversation


def texts(conversation: Conversation) -> list[tuple[str, str]]:
    return [(m.author, m.text) for m in conversation.state.messages]


def is_read(conversation: Conversation) -> bool:
    return conversation.state.messages[0].is_read


def is_stopped(conversation: Conversation) -> bool:
    return conversation.state.is_stopped


async def answered(conversation: Conversation) -> None:
    await until(lambda: not conversation.state.is_busy)
    await asyncio.sleep(0.05)  # What is kept is written in a thread.


async def test_reply_is_split_and_kept(rosa: Model, session: PageSession) -> None:
    talk = await open_talk(session, "Rosa")
    talk.send("one\ntwo words")
    assert texts(talk) == [("me", "one\ntwo words")]
    assert not is_read(talk)
    await answered(talk)
    assert texts(talk)[1:] == [("model", "one"), ("model", "two words")]
    assert is_read(talk)
    assert talk.state.messages[0].time
    (saved,) = model_talks(rosa).list()
    (turn,) = saved.turns
    assert (turn.line, turn.answer) == ("one\ntwo words", "one\n\ntwo words")
    assert len(turn.received) == 2
    first, _, *lines = talk.export().splitlines()
    assert "not written by Rosa" in first
    assert lines[0].endswith("You: one")


async def test_second_message_is_answered_with_the_first(
    rosa: Model, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    del rosa
    monkeypatch.setattr(SlowServer, "seconds_per_word", 0.3)
    talk = await open_talk(session, "Rosa")
    talk.send("hello\nthere you are")
    await until(lambda: len(talk.state.messages) == 2)
    talk.send("one")  # The reply's second message is not shown yet.
    talk.send("two")
    await answered(talk)
    own = [text for author, text in texts(talk) if author == "me"]
    assert own == ["hello\nthere you are", "one", "two"]
    replies = [text for author, text in texts(talk) if author == "model"]
    assert replies == ["hello", "one", "two"]
    assert texts(talk)[1] == ("model", "hello")


async def test_stop_works_at_once(
    rosa: Model, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    del rosa
    monkeypatch.setattr(SlowServer, "seconds_per_word", 5.0)
    talk = await open_talk(session, "Rosa")
    talk.send("hello you")
    await until(lambda: talk.state.waited)
    talk.stop()
    assert (talk.state.is_busy, talk.state.waited) == (False, "")
    assert is_stopped(talk)
    monkeypatch.setattr(SlowServer, "seconds_per_word", 0.0)
    session.stop_server()
    talk.answer()
    assert not is_stopped(talk)
    await answered(talk)
    assert texts(talk)[-1] == ("model", "hello you")


async def test_message_that_was_read_stays_so(
    rosa: Model, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    del rosa
    monkeypatch.setattr(SlowServer, "seconds_per_word", 1.0)
    talk = await open_talk(session, "Rosa")
    talk.send("one two three four five six")
    await until(lambda: talk.state.phase == "typing")
    talk.stop()
    assert is_read(talk)
    talk.send("and seven")
    assert not is_read(talk)
    talk.stop()


async def test_failed_reply_is_tried_again(
    rosa: Model, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    del rosa
    use_server = session.use_server

    def fail(_base: str | None) -> NoReturn:
        monkeypatch.setattr(session, "use_server", use_server)
        msg = "any text"
        raise ChatExportError(msg) from ConnectionError()

    monkeypatch.setattr(session, "use_server", fail)
    talk = await open_talk(session, "Rosa")
    talk.send("hello")
    await answered(talk)
    assert "Something went wrong" in str(talk.state.failure)
    talk.answer()
    await answered(talk)
    assert talk.state.failure is None
    assert texts(talk)[-1] == ("model", "hello")


async def test_message_is_edited_deleted_and_answered_again(
    rosa: Model, session: PageSession
) -> None:
    talk = await open_talk(session, "Rosa")
    for line in ("first", "second", "third"):
        talk.send(line)
        await answered(talk)
    second = talk.state.messages[2].turn
    talk.edit(second, "another")
    await answered(talk)
    own = [text for author, text in texts(talk) if author == "me"]
    assert own == ["first", "another"]
    talk.answer_again()
    await answered(talk)
    assert texts(talk)[-1] == ("model", "another")
    talk.delete_from(talk.state.messages[0].turn)
    await answered(talk)
    assert texts(talk) == []
    assert model_talks(rosa).list() == []


async def test_switch_shows_the_base_without_training(
    rosa: Model, session: PageSession
) -> None:
    del rosa
    talk = await open_talk(session, "Rosa")
    for line in ("first", "second\nand more"):
        talk.send(line)
        await answered(talk)
    talk.set_version("before")
    await answered(talk)
    notes = [(m.author, m.text) for m in talk.state.messages]
    assert notes == [
        ("me", "first"),
        ("note", ""),
        ("me", "second\nand more"),
        ("base", "second"),
        ("base", "and more"),
    ]
    talk.set_version("after")
    assert texts(talk)[1] == ("model", "first")
    assert not talk.state.is_busy


async def test_both_versions_are_shown_and_asked_for(
    rosa: Model, session: PageSession
) -> None:
    model_talks(rosa).save("1", [Turn("first", "yes"), Turn("second", "no")])
    talk = await open_talk(session, "Rosa")
    talk.set_version("both")
    assert talk.state.is_unanswered
    await answered(talk)
    assert [m.author for m in talk.state.messages] == [
        *("me", "note", "model"),
        *("me", "base", "model"),
    ]
    talk.send("third")
    await answered(talk)
    last = ("me", "third"), ("base", "third"), ("model", "third")
    assert texts(talk)[-3:] == [*last]
    assert "Rosa · before training: third" in talk.export()
    talk.answer_again()  # The base is not asked again.
    assert [m.author for m in talk.state.messages][-2:] == ["me", "base"]
    await answered(talk)
    assert not talk.state.is_unanswered


async def test_talks_of_a_person_are_kept_and_opened_again(
    rosa: Model, session: PageSession
) -> None:
    talk = await open_talk(session, "Rosa")
    talk.send("first")
    await answered(talk)
    await talk.open_talk()
    talk.send("second")
    talk.set_draft("not sent")
    await answered(talk)
    await session.poller.refresh()
    assert [t.lines for t in talk.kept_talks()] == [["second"] * 2, ["first"] * 2]
    await talk.open_talk(talk.kept_talks()[1])
    assert texts(talk)[0] == ("me", "first")
    talk.set_kept(is_kept=False)
    await until(lambda: len(model_talks(rosa).list()) == 1)
    # As after a restart.
    conversation = Conversation(session, list_people(session.published.value)[0])
    await session.poller.refresh()
    await conversation.open()
    assert texts(conversation)[0] == ("me", "second")
    assert conversation.draft == "not sent"
    await conversation.delete()
    assert model_talks(rosa).list() == []


async def test_message_of_a_closed_talk_deletes_nothing_of_another(
    rosa: Model, session: PageSession
) -> None:
    model_talks(rosa).save("1", [Turn("first", "yes"), Turn("second", "no")])
    talk = await open_talk(session, "Rosa")
    number = talk.state.messages[0].turn
    await talk.open_talk()  # In another tab.
    talk.send("third")
    await answered(talk)
    talk.delete_from(number)
    talk.edit(number, "not here")
    assert texts(talk) == [("me", "third"), ("model", "third")]


async def test_slow_disk_loses_and_revives_no_talk(
    rosa: Model, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = TalkFolder.save

    def save_slowly(*arguments: Any, **options: Any) -> None:
        time.sleep(0.2)
        save(*arguments, **options)

    def drafts() -> list[str]:
        return [kept.draft for kept in model_talks(rosa).list()]

    monkeypatch.setattr(TalkFolder, "save", save_slowly)
    talk = await open_talk(session, "Rosa")
    for draft in ("o", "one"):
        talk.set_draft(draft)
        await asyncio.sleep(0.05)
    await talk.open_talk()
    assert drafts() == ["one"]
    talk.set_draft("two")
    await asyncio.sleep(0.05)
    await talk.delete()
    assert drafts() == ["one"]


async def test_killed_in_mid_answer_the_message_is_there(
    rosa: Model, session: PageSession
) -> None:
    model_talks(rosa).save("1", [Turn("are you there?", sent=[1.0])])
    talk = await open_talk(session, "Rosa")
    assert texts(talk) == [("me", "are you there?")]
    assert talk.state.is_stopped
    talk.answer()
    await answered(talk)
    assert texts(talk)[-1] == ("model", "are you there?")


async def test_model_deleted_while_one_talks(rosa: Model, session: PageSession) -> None:
    talk = await open_talk(session, "Rosa")
    talk.send("hello")
    await answered(talk)
    session.workspace.delete(rosa.name)
    await session.poller.refresh()
    assert texts(talk) == []
    assert find_person(session.published.value, talk.person.key) is None
    talk.set_draft("later")
    await asyncio.sleep(0.1)
    assert rosa.folder is not None
    assert not rosa.folder.exists()


async def test_full_disk_loses_nothing_that_is_shown(
    rosa: Model, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    talk = await open_talk(session, "Rosa")
    with monkeypatch.context() as patch:
        patch.setattr(TalkFolder, "save", fail)
        talk.send("hello")
        await answered(talk)
        assert "The disk is full" in str(talk.state.keep_failure)
    assert len(texts(talk)) == 2
    talk.send("again")
    await answered(talk)
    await until(lambda: talk.state.keep_failure is None)
    (saved,) = model_talks(rosa).list()
    assert [turn.line for turn in saved.turns] == ["hello", "again"]


async def test_only_what_fits_the_language_is_offered(
    german: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[str] = []

    def fail(base: Base, *_: object, **__: object) -> NoReturn:
        downloads.append(base.id)
        msg = "any text"
        raise NoConnectionError(msg)

    monkeypatch.setattr(conversation_module, "download_base", fail)
    talk = await open_talk(german, "Mama")
    talk.send("Hallo Mama")
    await until(lambda: talk.state.offer is not None)
    await answered(talk)
    offer = talk.state.offer
    assert offer is not None
    assert offer.local is None
    assert talk.state.failure is None
    talk.download()
    await until(lambda: german.downloading.error is not None)
    assert "no connection to huggingface.co" in str(german.downloading.error)

    def finish(base: Base, *_: object, **__: object) -> None:
        downloads.append(base.id)
        monkeypatch.setattr(Base, "needs_download", lambda _: False)

    monkeypatch.setattr(conversation_module, "download_base", finish)
    talk.download()
    await until(lambda: len(talk.state.messages) == 2)
    assert talk.state.offer is None
    assert downloads == [offer.base.id] * 2
    assert "Hallo Mama" in texts(talk)[-1][1]


@pytest.mark.parametrize("local", ["other/base", BASE])
async def test_local_model_that_fits_is_offered_too(
    german: PageSession, monkeypatch: pytest.MonkeyPatch, local: str
) -> None:
    chosen = Base(local, "other", "hub")

    def choose(*_: object, downloads: bool = True, **__: object) -> BaseChoice:
        return BaseChoice(Base("big/base", "big", "hub") if downloads else chosen, 1.0)

    monkeypatch.setattr(speakers, "choose_chat_base", choose)
    monkeypatch.setattr(Base, "needs_download", lambda base: base.id == "big/base")
    talk = await open_talk(german, "Mama")
    await until(lambda: talk.state.offer is not None)
    assert talk.state.offer is not None
    assert talk.state.offer.local is not None
    talk.use_base(talk.state.offer.local)
    talk.send("Hallo")
    await until(lambda: len(talk.state.messages) == 2)
    assert talk.state.offer is None  # It is not offered again.


async def test_talk_without_training_outlives_its_export(
    german: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    german.base = "my/base"
    talk = await open_talk(german, "Mama")
    await until(lambda: talk.state.openings)
    assert talk.state.openings[0].startswith("Wie geht es dir heute")
    talk.send("Wann war das mit 17?")
    await answered(talk)
    cited = talk.state.messages[-1].cited
    assert any("Jonas: Wie geht es dir heute, 17?" in line for line in cited)
    other = await open_talk(german, "Jonas")
    assert texts(other) == []  # Another person has another talk.
    assert len(texts(talk)) == 2
    german.exports.clear()
    await german.poller.refresh()
    person = find_person(german.published.value, talk.person.key)
    assert person is not None
    assert (person.can_talk, person.has_chat) == (False, True)
    assert len(texts(talk)) == 2
    del monkeypatch


async def test_talk_before_training_goes_on_with_the_model(
    rosa: Model, session: PageSession
) -> None:
    people = session.stored.people_talks
    people.save("1", [Turn("before", "yes")], person="Rosa")
    talk = await open_talk(session, "Rosa")
    assert texts(talk) == [("me", "before"), ("model", "yes")]
    talk.send("after")
    await answered(talk)
    # It is not deleted with the model.
    (saved,) = people.list()
    assert [turn.answer for turn in saved.turns] == ["yes", "after"]
    await talk.open_talk()
    talk.send("new")
    await answered(talk)
    (saved,) = model_talks(rosa).list()
    assert [turn.line for turn in saved.turns] == ["new"]


async def test_time_of_answers_is_said_once_measured(
    rosa: Model, session: PageSession
) -> None:
    times = [100.0, 200.0]
    turns = [Turn("?", "x", sent=[time], received=[time + 25]) for time in times]
    model_talks(rosa).save("1", turns)
    talk = await open_talk(session, "Rosa")
    talk.send("hello")
    await until(lambda: talk.state.phase == "reading")
    assert talk.state.expected_seconds == talk.usual_seconds == 25
    await answered(talk)


async def test_two_answers_wait_for_each_other(
    rosa: Model, german: PageSession, tmp_path: Path
) -> None:
    del rosa, tmp_path
    german.base = "my/base"
    one, other = await open_talk(german, "Rosa"), await open_talk(german, "Mama")
    one.send("hello")
    other.send("Hallo")
    await answered(one)
    await answered(other)
    assert texts(one)[-1] == ("model", "hello")
    assert other.state.failure is None


async def test_a_person_is_loaded_once(
    rosa: Model, session: PageSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second load would take the speaker away from who waited for the first."""
    loads = []
    del rosa

    def load(*arguments: Any, **options: Any) -> Speaker:
        loads.append(arguments)
        return load_tuned_speaker(*arguments, **options)

    monkeypatch.setattr(speakers, "load_tuned_speaker", load)
    await session.poller.refresh()
    (person,) = list_people(session.published.value)
    loader = SpeakerLoader(session)
    found = await asyncio.gather(*(loader.load(person) for _ in range(3)))
    assert len(loads) == 1
    assert found[0].speaker is not None
    assert found == [found[0]] * 3


async def test_edited_first_message_keeps_its_talk(
    rosa: Model, session: PageSession
) -> None:
    """The list of talks may be read at any moment of an edit."""
    talk = await open_talk(session, "Rosa")
    talk.send("one")
    await answered(talk)
    folder = model_talks(rosa)
    await until(lambda: len(folder.list()) == 1)
    await session.poller.refresh()
    talk.update_person(talk.person)
    talk_id = talk.state.talk_id
    saved: list[int] = []
    talk.edit(talk.state.messages[0].turn, "tea")
    while talk.state.is_busy:
        saved.append(len(folder.list()))
        await session.poller.refresh()
        talk.update_person(talk.person)
        await asyncio.sleep(0)
    await answered(talk)
    assert {*saved} == {1}
    assert talk.state.talk_id == talk_id
    assert texts(talk) == [("me", "tea"), ("model", "tea")]
