"""Adding exports by drag and drop, and by the system's dialog."""

import shutil
from pathlib import Path

from langchain_chatexports.samples import write_imessage, write_messenger
from tests.integration_tests.page.conftest import Browsers, Command, wait


def test_files_and_folders_can_be_dropped_anywhere(
    shared: Command, browsers: Browsers, tmp_path: Path
) -> None:
    folder = write_messenger(tmp_path / "hogwarts")
    (folder / "photo.jpg").write_bytes(b"no chat" * 1000)
    chats = write_imessage(tmp_path / "chat.db")
    shutil.copy(chats, tmp_path / "same.db")
    (tmp_path / "notes.txt").write_text("no chat")
    browser = browsers()
    browser.open_empty(shared)
    (tmp_path / "Holidays").mkdir()
    shutil.copy(folder / "photo.jpg", tmp_path / "Holidays")
    browser.drop(chats, folder, tmp_path / "Holidays", tmp_path / "notes.txt")
    # Elsewhere on the page, while the others are read.
    browser.drop(tmp_path / "same.db", x=1275, y=600)
    browser.see("iMessage export · 10 chats")
    browser.see("Messenger export · 9 chats")
    browser.see("This does not look like a chat export")
    browser.see("223 messages are also in another export, and are used only once.")
    browser.see("Holidays is empty, or contains only photos and videos: skipped.")
    assert "/copies/" not in browser.text
    assert browser.driver.current_url == browser.address
    browser.assert_accessible()
    browser.look_as(390, 844, is_dark=True)
    browser.assert_accessible()
    # On a screen without a list of exports.
    browser.go("choose")
    browser.see("Whose voice")
    (tmp_path / "later").mkdir()
    browser.drop(write_imessage(tmp_path / "later" / "chat2.db"))
    browser.go("add")
    browser.see("chat2.db")
    browser.assert_no_errors()


def test_files_are_chosen_and_removed(
    shared: Command, browsers: Browsers, tmp_path: Path
) -> None:
    first = write_imessage(tmp_path / "first.db")
    (tmp_path / "other").mkdir()
    shutil.copytree(write_messenger(tmp_path / "h"), tmp_path / "other" / "inbox")
    second = shutil.make_archive(str(tmp_path / "fb"), "zip", tmp_path / "other")
    browser = browsers()
    browser.open_empty(shared)
    browser.choose_files(write_messenger(tmp_path / "hogwarts"), name="folder")
    browser.see("Messenger export · 9 chats")
    browser.click("Remove from the list")
    browser.see("Don't have an export yet?")
    browser.choose_files(first, tmp_path / second)
    browser.see("first.db")
    browser.see("fb.zip")
    browser.see("Next: choose whose voice")
    browser.click("Remove from the list")
    wait(lambda: "first.db" not in browser.text)
    browser.see("Next: choose whose voice")


def test_incomplete_upload_is_reported(
    shared: Command, browsers: Browsers, tmp_path: Path
) -> None:
    with (tmp_path / "large.zip").open("wb") as large:
        large.truncate(2**31)
    browser = browsers()
    browser.open_empty(shared)
    browser.drop(tmp_path / "large.zip")
    browser.see("Copying")
    browser.go("talk")
    browser.go("add")
    browser.see("The upload is incomplete.")
    assert "Copying" not in browser.text


def test_focused_elements_are_accessible(shared: Command, browsers: Browsers) -> None:
    browser = browsers()
    browser.open_empty(shared)
    browser.click("How do I get an export?")
    browser.see("Open the chat and tap its name")
    for width, is_dark in ((1280, True), (390, False)):
        browser.look_as(width, 844, is_dark=is_dark)
        browser.assert_accessible()
        browser.tab_to("Or the path")
        browser.assert_accessible()
        browser.all(".q-select")[0].click()
        wait(lambda: browser.all(".q-menu .q-item"))
        # Quasar's list has no accessible name.
        assert browser.axe_findings("color-contrast") == []
        browser.click("Signal")
        browser.see("Export the chat history, as JSON.")
        wait(lambda: not browser.all(".q-menu"))
    heights = [b.size["height"] for b in browser.all("button") if b.is_displayed()]
    assert min(heights) >= 44
