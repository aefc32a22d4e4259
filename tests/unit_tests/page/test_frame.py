"""The frame: the list of chats beside each screen, which is never rebuilt."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User

from langchain_chatexports.local_server import Model
from langchain_chatexports.page.elements import Element, KeyedList, ask, button
from langchain_chatexports.page.people import person_key
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.page.snapshot import Poller, Published, Snapshot
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.builders.workspaces import add_job

pytestmark = pytest.mark.asyncio

_PERSON = "langchain_chatexports_person"


async def test_button_in_a_row_survives_updates(user: User) -> None:
    clicks: list[int] = []
    rows: list[KeyedList[tuple[int, int]]] = []

    def build(_row: ui.element, item: tuple[int, int]) -> Callable[[Any], object]:
        row = ui.button().mark(f"row-{item[0]}")
        row.on_click(lambda: clicks.append(item[0]))
        return lambda item: row.set_text(f"{item}")

    ui.page("/rows")(lambda: rows.append(KeyedList(build, lambda item: item[0])))
    await user.open("/rows")
    rows[0].show([(3, -1)])
    (row,) = user.find(marker="row-3").elements
    shuffle = random.Random(1)
    for update in range(100):
        keys = [3, *shuffle.sample(range(4, 20), shuffle.randrange(10))]
        shuffle.shuffle(keys)
        rows[0].show([(key, update) for key in keys])
        user.find(marker="row-3").click()
        texts = [row.default_slot.children[0].text for row in rows[0].default_slot]  # type: ignore[attr-defined] # a button
        assert texts == [f"{(key, update)}" for key in keys]
    assert user.find(marker="row-3").elements == {row}
    assert clicks == [3] * 100


async def test_only_changes_are_published(
    user: User, session: PageSession, caplog: pytest.LogCaptureFixture
) -> None:
    del user
    empty = session.read()
    readings = [replace(empty, problem=name) for name in ("A", "A", "B", "B")]
    seen: list[str] = []
    published: Published[Snapshot] = Published(empty)
    published.watch(lambda s: s.problem, seen.append)
    poller = Poller(lambda: readings.pop(0), published)
    for _ in range(5):  # The fifth reading fails.
        await poller.refresh()
    poller.stop()
    assert seen == ["", "A", "B", "IndexError"]
    caplog.clear()


async def test_empty_machine_opens_on_add(user: User) -> None:
    await user.open("/")
    await user.should_see("Drop files and folders anywhere")


async def test_persons_of_exports_and_models_are_listed(
    rosa: Model, user: User, session: PageSession
) -> None:
    assert rosa.person == "Rosa"
    await user.open("/")
    await user.should_see("Rosa")
    await user.should_not_see("Also in your chats")
    session.add_sample()
    await user.should_see("Also in your chats", retries=50)
    await user.should_see("Draco Malfoy")
    add_job(session.workspace, mark="b", metadata={_PERSON: "Tim"})
    await user.should_see("Tim", retries=50)
    # Nobody answers for Tim yet, so the row leads to how far the training is.
    links = {e.props.get("href") for e in user.find(kind=Element).elements}
    assert f"/teach/{person_key('Tim')}" in links
    assert f"/talk/{person_key('Rosa')}" in links


async def test_dialog_asks_before_a_deletion(user: User) -> None:
    deleted: list[bool] = []

    def delete() -> None:
        ask("Delete?", "Delete", lambda: deleted.append(True))

    def show() -> None:
        button("Delete", delete).mark("delete")

    ui.page("/delete")(show)
    await user.open("/delete")
    user.find(marker="delete").click()
    user.find(marker="delete").click()  # A double click opens one dialog.
    assert len(user.find(marker="ask").elements) == 1
    user.find(marker="ask").trigger("close", "confirm")
    assert deleted == [True]
    await user.should_not_see(marker="ask")
    user.find(marker="delete").click()
    user.find(marker="ask").trigger("close", "")
    assert deleted == [True]


@pytest.mark.filterwarnings("ignore::UserWarning")  # A chat has no time zone.
async def test_everyone_in_the_chats_can_be_reached(
    user: User, session: PageSession, tmp_path: Path
) -> None:
    chat = WhatsAppChat.android()
    for number in range(20):
        for _ in range(20 - number):
            chat.says(f"Cousin {number}", "Hello everyone!")
    session.exports.add([chat.to_file(tmp_path / "WhatsApp Chat with Family.txt")])
    session.exports.join(60)
    await user.open("/settings")
    await user.should_see("and 8 more")
    await user.should_not_see("Cousin 19")
    user.find("and 8 more").click()
    await user.should_see("Cousin 19")
    await user.should_not_see("and 8 more")
