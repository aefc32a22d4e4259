"""A large export with right-to-left names, in two tabs."""

import json
from pathlib import Path

from tests.integration_tests.page.conftest import Browsers, Command, wait

_CHATS, _MESSAGES = 200, 150
_HEBREW = "ארנבת"


def _write(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for chat in range(_CHATS):
            other = f"{_HEBREW} {chat}"
            for at in range(_MESSAGES):
                message = {
                    "conversation": f"chat {chat}",
                    "sender": "Ann" if at % 2 else other,
                    "text": f"Line {at} of chat {chat}, about the race.",
                    "time": f"20{chat // 12 + 5:02}-{chat % 12 + 1:02}-01T12:00:00Z",
                }
                file.write(f"{json.dumps(message)}\n")


def test_page_handles_thirty_thousand_messages(
    command: Command, browsers: Browsers, tmp_path: Path
) -> None:
    export, longer = tmp_path / "messages.jsonl", tmp_path / "longer.jsonl"
    _write(export)
    # Reading it takes longer than opening another tab.
    longer.write_bytes(export.read_bytes() * 6)
    browser, other = browsers(width=390), browsers(is_dark=True)
    browser.open(command.link)
    browser.add_path(longer)
    browser.see("Reading …")
    # Reading does not block another tab.
    other.open(command.next_link())
    other.go("search")
    other.see("The chats are not here")
    # The click is not lost, although the card changes with each step of the progress.
    browser.click("Cancel")
    wait(lambda: "longer.jsonl" not in browser.text)
    browser.add_path(export)
    browser.see("30,000 messages")
    browser.see("197 more people are in the list of chats.")
    browser.assert_accessible()
    names = [h for h in browser.all("h2") if _HEBREW in h.text]
    assert names[0].get_attribute("dir") == "auto"
    links = browser.all("a[aria-label^='Teach a model to write like Ann']")
    browser.open(links[0].get_attribute("href") or "")
    browser.see("15,000 messages that Ann wrote")
    browser.click("What it learns from")
    browser.see("about the race.")
    browser.assert_fits_window()
    browser.assert_no_errors()
