"""With many chats the page stays usable, and names are read from their side."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.integration_tests.page.conftest import Browser, Command, wait

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


def test_thirty_thousand_messages_of_two_hundred_people(
    command: Command, browsers: Callable[..., Browser], tmp_path: Path
) -> None:
    export = tmp_path / "messages.jsonl"
    _write(export)
    person, other = browsers(width=390), browsers(is_dark=True)
    person.open(command.link)
    person.write("Or the path", f"{export}\n")
    person.see("Reading …")
    # Reading does not hold up another tab.
    other.open(command.next_link())
    other.go("choose")
    other.see("There are no chats to choose from yet.")
    person.see("30,000 of 30,000 messages kept")
    person.click("Next: choose whose voice to learn")
    person.see("Whose voice")
    person.assert_accessible()
    person.all(".q-select")[0].click()
    names = wait(lambda: person.all(".q-menu .q-item__label"))
    wait(lambda: any(_HEBREW in name.text for name in names))
    (hebrew, *_) = (name for name in names if _HEBREW in name.text)
    assert hebrew.value_of_css_property("unicode-bidi") == "plaintext"
    voice, select = names[0].text, person.all(".q-select")[0]
    other.go("choose")
    other.see("Whose voice")
    person.click(voice)
    wait(lambda: not person.all(".q-menu"))
    # The other tab's form follows, and one's own stays.
    other.see(voice)
    wait(lambda: voice in select.text)
    person.click("Next: make the examples")
    person.see("What the model learns from")
    person.see("Example 1 of ")
    # A choice stays when the machine was measured, and times are shown.
    person.choose("Base model", "SmolLM2-135M")
    person.see("trains in about ")
    assert "SmolLM2-135M" in person.all(".q-select")[-1].text
    person.collect()
    assert not person.errors
