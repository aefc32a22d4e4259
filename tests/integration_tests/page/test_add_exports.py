"""Exports are dropped anywhere, several at a time, and nothing of them is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

from langchain_chatexports.samples import write_imessage, write_messenger
from tests.integration_tests.page.conftest import Browser, Command, wait


def test_files_and_folders_are_dropped_anywhere(
    shared: Command, browsers: Callable[..., Browser], tmp_path: Path
) -> None:
    folder = write_messenger(tmp_path / "hogwarts")
    (folder / "photo.jpg").write_bytes(b"no chat" * 1000)
    chats = write_imessage(tmp_path / "chat.db")
    shutil.copy(chats, tmp_path / "same.db")
    (tmp_path / "notes.txt").write_text("no chat")
    person = browsers()
    person.begin(shared)
    (tmp_path / "Holidays").mkdir()
    shutil.copy(folder / "photo.jpg", tmp_path / "Holidays")
    person.drop(chats, folder, tmp_path / "Holidays", tmp_path / "notes.txt")
    # While the others are read, and at another place.
    person.drop(tmp_path / "same.db", x=1275, y=600)
    person.see("iMessage export · 10 chats")
    person.see("Messenger export · 9 chats")
    person.see("No export was recognized in it")
    person.see("223 messages are also in another export, and are learned once.")
    person.see("Holidays is empty, or has only photos and films: skipped.")
    assert "/copies/" not in person.text
    assert person.driver.current_url == person.address
    person.assert_accessible()
    person.look_as(390, 844, is_dark=True)
    person.assert_accessible()
    # On a screen without a list of exports.
    person.go("choose")
    person.see("Whose voice")
    (tmp_path / "later").mkdir()
    person.drop(write_imessage(tmp_path / "later" / "chat2.db"))
    person.go("")
    person.see("chat2.db")
    person.collect()
    assert not person.errors


def test_files_are_chosen_and_taken_off_the_list(
    shared: Command, browsers: Callable[..., Browser], tmp_path: Path
) -> None:
    first = write_imessage(tmp_path / "first.db")
    (tmp_path / "other").mkdir()
    shutil.copytree(write_messenger(tmp_path / "h"), tmp_path / "other" / "inbox")
    second = shutil.make_archive(str(tmp_path / "fb"), "zip", tmp_path / "other")
    person = browsers()
    person.begin(shared)
    person.choose_files(write_messenger(tmp_path / "hogwarts"), name="folder")
    person.see("Messenger export · 9 chats")
    person.click("Remove from the list")
    person.see("No export at hand?")
    person.choose_files(first, tmp_path / second)
    person.see("first.db")
    person.see("fb.zip")
    person.see("Next: choose whose voice")
    person.click("Remove from the list")
    wait(lambda: "first.db" not in person.text)
    person.see("Next: choose whose voice")


def test_what_was_not_sent_whole_when_the_page_was_left_is_said(
    shared: Command, browsers: Callable[..., Browser], tmp_path: Path
) -> None:
    with (tmp_path / "large.zip").open("wb") as large:
        large.truncate(2**31)
    person = browsers()
    person.begin(shared)
    person.drop(tmp_path / "large.zip")
    person.see("Copying")
    person.go("talk")
    person.go("")
    person.see("The upload is incomplete. Add it again, and wait until it ends.")
    assert "Copying" not in person.text


def test_what_has_the_focus_or_is_chosen_can_be_read(
    shared: Command, browsers: Callable[..., Browser]
) -> None:
    person = browsers()
    person.begin(shared)
    person.click("How do I get an export?")
    person.see("Open the chat and tap its name")
    for width, is_dark in ((1280, True), (390, False)):
        person.look_as(width, 844, is_dark=is_dark)
        person.assert_accessible()
        person.tab_to("Or the path")
        person.assert_accessible()
        person.all(".q-select")[0].click()
        wait(lambda: person.all(".q-menu .q-item"))
        # The list itself is Quasar's, and has no name.
        assert person.axe_findings("color-contrast") == []
        person.click("Signal")
        person.see("Export the chat history, as JSON.")
        wait(lambda: not person.all(".q-menu"))
    heights = [b.size["height"] for b in person.all("button") if b.is_displayed()]
    assert min(heights) >= 44
