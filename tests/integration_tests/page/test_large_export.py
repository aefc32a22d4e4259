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
    browser.write("Or the path", f"{longer}\n")
    browser.see("Reading …")
    # Reading does not block another tab.
    other.open(command.next_link())
    other.go("choose")
    other.see("No chats to choose from yet.")
    # The click is not lost, although the card changes with each step of the progress.
    browser.click("Cancel")
    browser.see("Don't have an export yet?")
    browser.write("Or the path", f"{export}\n")
    browser.see("30,000 of 30,000 messages kept")
    browser.click("Next: choose whose voice to learn")
    browser.see("Whose voice")
    browser.assert_accessible()
    browser.all(".q-select")[0].click()
    names = ".q-menu .q-item__label"
    hebrew = wait(lambda: [n for n in browser.all(names) if _HEBREW in n.text])[0]
    assert hebrew.value_of_css_property("unicode-bidi") == "plaintext"
    voice, select = browser.all(names)[0].text, browser.all(".q-select")[0]
    other.go("choose")
    other.see("Whose voice")
    browser.click(voice)
    wait(lambda: not browser.all(".q-menu"))
    # The other tab shows the choice, and this one keeps it.
    other.see(voice)
    wait(lambda: voice in select.text)
    browser.click("Next: create examples")
    browser.see("What the model learns from")
    browser.see("Example 1 of ")
    browser.choose("Base model", "SmolLM2-135M")
    browser.see("trains in about ")
    assert "SmolLM2-135M" in browser.all(".q-select")[-1].text
    browser.assert_no_errors()
