"""Adding chats by drag and drop, and by the system's dialog."""

import shutil
from pathlib import Path

from langchain_chatexports.samples import write_imessage, write_messenger
from tests.integration_tests.page.conftest import Browsers, Command, wait

_FRAME = ".drop-frame"
# The names of controls without a ring when they have the focus.
_RINGLESS = """
    const all = [...document.querySelectorAll('a, button, summary, input, textarea')];
    const shown = all.filter((e) => e.checkVisibility() && e.tabIndex >= 0);
    return shown.filter((e) => {
        e.focus({focusVisible: true});
        const { outlineStyle, outlineWidth } = getComputedStyle(e);
        return outlineStyle !== 'solid' || parseFloat(outlineWidth) < 2;
    }).map((e) => e.outerHTML);
"""


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
    photo = shutil.copy(folder / "photo.jpg", tmp_path / "beach.jpg")
    dropped = chats, folder, tmp_path / "Holidays", tmp_path / "notes.txt", photo
    browser.drop(*map(Path, dropped))
    # Elsewhere on the page, while the others are read.
    browser.drop(tmp_path / "same.db", x=1275, y=600)
    browser.see("223 messages")
    browser.see("663 messages")
    browser.see("This does not look like a chat.")
    browser.see("This is a photo, not a chat.")
    browser.see("You have already added this file.")
    browser.see("It is empty, or contains only photos and videos.")
    assert "/copies/" not in browser.text
    browser.assert_accessible()
    browser.look_as(390, 844, is_dark=True)
    browser.assert_accessible()
    browser.look_as(1280, 800, is_dark=False)
    browser.click("Remove all that could not be read")
    wait(lambda: "notes.txt" not in browser.text)
    browser.see("Try it with sample chats")


def test_drop_on_another_screen_leads_to_add(
    shared: Command, browsers: Browsers, tmp_path: Path
) -> None:
    browser = browsers()
    browser.open_empty(shared)
    browser.go("settings")
    browser.wait_for_connection()
    chats = write_imessage(tmp_path / "chat2.db")
    data = {"items": [], "files": [str(chats)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        event = {"type": kind, "x": 500, "y": 300, "data": data}
        browser.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)
    (frame,) = browser.all(_FRAME)
    wait(frame.is_displayed, seconds=5)
    browser.see("Drop here, to add it")
    wait(lambda: not frame.is_displayed(), seconds=5)
    browser.drop(chats, x=500, y=300)
    browser.see("chat2.db")
    assert browser.driver.current_url.endswith("/add")
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
    browser.see("Talk with Draco Malfoy now")
    browser.click("Remove")
    wait(lambda: "Talk with Draco Malfoy now" not in browser.text)
    browser.choose_files(first, tmp_path / second)
    browser.see("first.db")
    browser.see("Talk with Draco Malfoy now")
    browser.click("Remove")
    wait(lambda: "first.db" not in browser.text)
    browser.see("Talk with Draco Malfoy now")


def test_incomplete_upload_is_reported(
    shared: Command, browsers: Browsers, tmp_path: Path
) -> None:
    with (tmp_path / "large.zip").open("wb") as large:
        large.truncate(2**31)
    browser = browsers()
    browser.open_empty(shared)
    browser.drop(tmp_path / "large.zip")
    browser.see("Copying")
    browser.go("settings")
    browser.go("add")
    browser.see("The file was not copied completely.")


def test_focus_is_visible_and_steps_are_accessible(
    shared: Command, browsers: Browsers
) -> None:
    browser = browsers()
    browser.open_empty(shared)
    for summary in ("How do I get my chats?", "Signal", "More"):
        browser.click(summary)
    browser.see("Export the chat history, as JSON.")
    for width, is_dark in ((1280, True), (390, False)):
        browser.look_as(width, 844, is_dark=is_dark)
        browser.assert_accessible()
    for name in ("Choose files", "Choose a folder", "Try it with sample", "Where a"):
        browser.tab_to(name)
    assert browser.driver.execute_script(_RINGLESS) == []
    heights = [b.size["height"] for b in browser.all("button") if b.is_displayed()]
    assert min(heights) >= 44
    for screen in ("settings", "search"):
        browser.go(screen)
        browser.tab_to("Skip to the content")  # The keyboard is used.
        assert browser.driver.execute_script(_RINGLESS) == []
