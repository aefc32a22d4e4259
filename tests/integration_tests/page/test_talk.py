"""A talk in the browser: keyboard, focus, two sizes, and the program's end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import Model, Workspace
from langchain_chatexports.page.people import person_key
from langchain_chatexports.personas.talk import Turn
from langchain_chatexports.workflows.saved_talks import model_talks
from tests.integration_tests.page.conftest import (
    Browser,
    Browsers,
    Command,
    opened,
    wait,
)
from tests.unit_tests.builders.workspaces import add_job, add_tuned_model

_BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
_NAME = "Rosa <b>Vogt</b>"
_TALK = f"talk/{person_key(_NAME)}"
# Its models repeat the last message; a reply of "slow" takes seconds.
_COMMAND = """
from functools import partial
from langchain_chatexports.local_server import Queue
from langchain_chatexports.local_server.testing import *
from langchain_chatexports.page import session
class Server(EchoServer):
    def _open_engine(self):
        return EchoEngine(seconds_per_word=0.5)
session.LocalServer = Server
session.Queue = partial(Queue, train=train_steps, threads=1)
from langchain_chatexports.cli import main
main()
"""
_TOP = "return document.querySelector('.composer').getBoundingClientRect().top"
# The head is as high as before, and the name is not cut off.
_HEAD = """
    const name = document.querySelector('.talk-head .name');
    const { height } = document.querySelector('.talk-head').getBoundingClientRect();
    return [height, name.scrollWidth <= name.clientWidth];
"""
_MARK = """
    const mark = document.querySelector('.talk-head .mark');
    const head = document.querySelector('.talk-head').getBoundingClientRect();
    const { right, bottom } = mark.getBoundingClientRect();
    const isWhole = mark.scrollWidth <= mark.clientWidth;
    return isWhole && right <= innerWidth && bottom <= head.bottom;
"""
_FOCUS = """
    const [element] = arguments, style = getComputedStyle(element);
    const label = element.nextElementSibling;  // Of a radio button.
    const rings = [style, label ? getComputedStyle(label) : style];
    const isRing = (s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
    return rings.some(isRing);
"""
_DRAW = """
    const field = document.querySelector('.composer textarea');
    field.value = 'drawn at once';
    const key = {key: 'Enter', bubbles: true, cancelable: true};
    field.dispatchEvent(new KeyboardEvent('keydown', key));
    return [field.value, document.querySelector('#pending .bubble')?.textContent];
"""

_LOOK_AWAY = """
    Object.defineProperty(document, 'hidden', {get: () => true});
    window.Notification = class {
        static permission = 'granted';
        constructor(text) { window.notified = text; }
    };
"""


@pytest.fixture
def model(tmp_path: Path) -> Model:
    questions = ["How are you today?", "Where is <i>my</i> hat?", "Shall we have tea?"]
    talks = [[(question, "yes, of course")] for question in questions]
    metadata = {"langchain_chatexports_person": _NAME}
    workspace = Workspace(tmp_path / "data")
    model = add_tuned_model(
        workspace, talks, [], base=_BASE, base_model=_BASE, metadata=metadata
    )
    cited = ["2025-04-04 21:36 Mama: Ja, das Ladekabel"]
    earlier = Turn("hello", "good <b>evening</b>", cited=cited, sent=[1.7e9])
    model_talks(model).save("1", [earlier])
    return model


@pytest.fixture
def echoing(tmp_path: Path, model: Model) -> Iterator[Command]:
    del model
    with opened(tmp_path, None, start=("-c", _COMMAND)) as command:
        yield command


def _bubbles(browser: Browser, kind: str) -> list[str]:
    words = browser.all(f".messages:not(.pending) .{kind} .words")
    return [str(element.text) for element in words]


def test_talk_by_keyboard(echoing: Command, browsers: Browsers) -> None:
    browser = browsers()
    browser.open(echoing.link)
    browser.see("Chats")
    browser.tab_to("R")
    browser.key(Keys.ENTER)
    wait(lambda: browser.focused == "Message")
    browser.see("written by a model on this computer")
    assert _bubbles(browser, "theirs") == ["good <b>evening</b>"]
    browser.assert_no_html()
    assert browser.driver.execute_script(_DRAW) == ["", "drawn at once"]
    tops = {browser.driver.execute_script(_TOP)}
    wait(lambda: "drawn at once" in _bubbles(browser, "mine"))
    assert not browser.all("#pending .bubble")
    wait(lambda: "drawn at once" in _bubbles(browser, "theirs"))
    lines = f"one{Keys.SHIFT}{Keys.ENTER}{Keys.NULL}two three four five{Keys.ENTER}"
    browser.write("Message", lines)
    wait(lambda: "is typing" in browser.text or "waking up" in browser.text)
    browser.key("and this", Keys.ENTER)
    own = ["one\ntwo three four five", "and this"]
    wait(lambda: _bubbles(browser, "mine")[-2:] == own)
    wait(lambda: "and this" in _bubbles(browser, "theirs"))
    tops.add(browser.driver.execute_script(_TOP))
    assert len(tops) == 1
    # The bubbles and their menu.
    browser.key(Keys.ARROW_UP)
    wait(lambda: "and this" in browser.focused)
    browser.key(Keys.ENTER)
    wait(lambda: browser.focused == "They would not say that")
    browser.key(Keys.ESCAPE)
    wait(lambda: "and this" in browser.focused)
    while not browser.focused.startswith("You:"):
        # One reply answers both messages if nothing of the first was shown yet.
        browser.key(Keys.ARROW_UP)
    browser.key(Keys.ENTER)
    wait(lambda: browser.focused == "Edit")
    browser.key(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    browser.see("Delete this message and all that follows?")
    assert browser.focused == "Cancel"
    browser.key(Keys.ESCAPE)
    wait(lambda: not browser.all("dialog"))
    browser.assert_no_errors()


def test_reply_is_stopped_at_once(echoing: Command, browsers: Browsers) -> None:
    browser, other = browsers(width=390), browsers(width=390, is_dark=True)
    browser.open(echoing.link)
    browser.go(_TALK)
    head = browser.driver.execute_script(_HEAD)
    browser.write("Message", f"{' '.join('abcdefghij' * 9)}\n")
    stop = wait(lambda: [b for b in browser.all(".stop") if b.is_displayed()])[0]
    wait(lambda: browser.all(".dots:not(.hidden)"))
    browser.see("is typing …")
    assert browser.driver.execute_script(_HEAD) == head == [head[0], True]
    stop.click()
    wait(lambda: not browser.all(".dots:not(.hidden)"), seconds=2)
    browser.see("Stopped.")
    # The draft is there in another tab, and after a reload.
    browser.write("Message", "half a sent")
    other.open(echoing.next_link())

    def has_draft() -> bool:
        other.go(_TALK)
        field = wait(lambda: other.all(".composer textarea"))[0]
        return bool(field.get_attribute("value") == "half a sent")

    wait(has_draft)


def _open_menu(browser: Browser, text: str, *, own: bool = False) -> None:
    """Open the menu of a bubble by keyboard."""
    side = "mine" if own else "theirs"
    script = "arguments[0].focus()"
    bubbles = wait(lambda: browser.all(f".messages:not(.pending) .{side} .bubble"))
    bubble = next(each for each in bubbles if text in each.text)
    browser.driver.execute_script(script, bubble)
    browser.key(Keys.ENTER)
    wait(lambda: browser.all("#bubble-menu:popover-open"))


def test_mark_is_whole_at_all_widths(echoing: Command, browsers: Browsers) -> None:
    browser = browsers(language="de-DE")
    browser.open(echoing.link)
    browser.go(_TALK)
    browser.see("auf diesem Computer geschrieben")
    browser.write("Nachricht", f"{' '.join('abcdefghij' * 9)}\n")
    browser.see("schreibt …")
    for width in (390, 768, 1100, 1280):
        browser.look_as(width, 800, is_dark=False)
        wait(lambda: browser.driver.execute_script(_MARK), seconds=5)


def test_both_versions_are_shown_in_wide_windows(
    echoing: Command, browsers: Browsers
) -> None:
    browser = browsers()
    browser.open(echoing.link)
    browser.go(_TALK)
    browser.click("Both")
    replies = ["hello", "good <b>evening</b>"]
    wait(lambda: _bubbles(browser, "theirs") == replies)
    browser.assert_accessible()
    browser.look_as(1000, 800, is_dark=False)
    shown = [b.is_displayed() for b in browser.all(".messages .theirs .bubble")]
    assert shown == [False, True]
    assert not any(b.is_displayed() for b in browser.all(".switch .both"))
    browser.assert_no_errors()


def test_model_deleted_in_mid_answer_is_said(
    echoing: Command, browsers: Browsers, model: Model, tmp_path: Path
) -> None:
    browser = browsers()
    browser.open(echoing.link)
    browser.go(_TALK)
    browser.write("Message", f"{' '.join('abcdefghij' * 9)}\n")
    browser.see("is typing …")
    Workspace(tmp_path / "data").delete(model.name)  # In another tab.
    browser.see("This model was deleted, and its chats with it.")
    assert "This is a model that writes like" not in browser.text
    assert "is typing" not in browser.text
    assert not any(b.is_displayed() for b in browser.all(".switch"))
    browser.assert_no_errors()


def test_killed_in_mid_answer_nothing_is_lost(
    tmp_path: Path, model: Model, browsers: Browsers
) -> None:
    del model
    browser = browsers()
    with opened(tmp_path, None, start=("-c", _COMMAND)) as command:
        browser.open(command.link)
        browser.go(_TALK)
        browser.write("Message", f"{' '.join('abcdefghij' * 9)}\n")
        browser.see("is typing …")
        browser.write("Message", "half a sent")
        (saved,) = tmp_path.rglob("talks/1.json")
        wait(lambda: b"half a sent" in saved.read_bytes())
        command.process.kill()
        browser.see("The program Chat exports is not running.")
    with opened(tmp_path, None, start=("-c", _COMMAND)) as command:
        browser.open(command.link)
        browser.go(_TALK)
        browser.see("Stopped.")
        assert _bubbles(browser, "mine")[-1].startswith("a b c d")
        field = browser.all(".composer textarea")[0]
        assert field.get_attribute("value") == "half a sent"
        browser.click("Try again")
        browser.see("is typing …")


def test_reply_is_corrected_in_its_place(echoing: Command, browsers: Browsers) -> None:
    browser, other = browsers(), browsers(width=390, is_dark=True)
    browser.open(echoing.link)
    browser.go(_TALK)
    browser.see("good <b>evening</b>")
    top = browser.driver.execute_script(_TOP)
    _open_menu(browser, "evening")
    browser.key(Keys.ENTER)
    browser.see(f"What would {_NAME} write?")
    # The whole text is selected, so that what is typed replaces it.
    field = wait(lambda: browser.all(".messages .edit-form textarea"))[0]
    wait(lambda: browser.driver.switch_to.active_element == field)
    assert field.get_attribute("value") == "good <b>evening</b>"
    assert not _bubbles(browser, "theirs")
    browser.assert_accessible()
    browser.key("Ahoy")
    wait(lambda: field.get_attribute("value") == "Ahoy")
    browser.key(Keys.ESCAPE)
    wait(lambda: not browser.all(".edit-form"))
    assert _bubbles(browser, "theirs") == ["good <b>evening</b>"]
    wait(lambda: "evening" in browser.focused)
    # What was written is there in another tab, and after a reload.
    other.open(echoing.next_link())
    other.go(_TALK)
    other.see("good <b>evening</b>")
    _open_menu(other, "evening")
    other.key(Keys.ENTER)
    field = wait(lambda: other.all(".edit-form textarea"))[0]
    assert field.get_attribute("value") == "Ahoy"
    other.assert_accessible()
    wait(lambda: other.driver.switch_to.active_element == field)
    other.key("Ahoy, it is you", Keys.ENTER)
    wait(lambda: _bubbles(other, "theirs") == ["Ahoy, it is you"])
    wait(lambda: _bubbles(browser, "theirs") == ["Ahoy, it is you"])
    wait(lambda: not other.all(".edit-form"))
    wait(lambda: "it is you" in other.focused)
    assert browser.driver.execute_script(_TOP) == top
    # An own message is edited there, too; the model replies again.
    _open_menu(browser, "hello", own=True)
    browser.key(Keys.ENTER)
    browser.see("Later messages are removed")
    browser.key("tea?", Keys.ENTER)
    wait(lambda: _bubbles(browser, "mine") == ["tea?"])
    wait(lambda: _bubbles(browser, "theirs") == ["tea?"])
    for tab in (browser, other):
        tab.assert_no_html()
        tab.assert_no_errors()


def test_long_press_opens_the_menu(echoing: Command, browsers: Browsers) -> None:
    browser = browsers(width=390)
    browser.open(echoing.link)
    browser.go(_TALK)
    browser.wait_for_connection()
    place = wait(lambda: browser.all(".theirs .bubble"))[0].rect
    points = [{"x": place["x"] + 20, "y": place["y"] + 20}]

    def touch(kind: str, where: list[dict[str, float]]) -> None:
        event = {"type": kind, "touchPoints": where}
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    touch("touchStart", points)
    touch("touchEnd", [])
    assert not browser.all(".menu:popover-open")
    touch("touchStart", points)
    # As long as a busy machine takes.
    wait(lambda: browser.all(".bubble.held"))
    touch("touchEnd", [])
    wait(lambda: browser.all("#bubble-menu:popover-open"))
    assert not browser.all(".bubble.held")


def test_end_of_a_training_is_notified(
    echoing: Command, browsers: Browsers, model: Model, tmp_path: Path
) -> None:
    browser = browsers()
    browser.open(echoing.link)
    browser.go(_TALK)
    browser.wait_for_connection()
    browser.driver.execute_script(_LOOK_AWAY)
    metadata = {"langchain_chatexports_person": "Tim & Ida"}
    workspace = Workspace(tmp_path / "data")
    add_job(workspace, base=_BASE, base_model=_BASE, metadata=metadata)
    sentence = "Tim & Ida has learned"
    wait(lambda: browser.driver.execute_script("return window.notified") == sentence)
    wait(lambda: browser.driver.title == f"✓ {sentence}")
    del model


def test_talk_is_accessible_in_both_sizes(echoing: Command, browsers: Browsers) -> None:
    browser = browsers()
    browser.open(echoing.link)
    for path in ("", _TALK):
        browser.go(path)
        browser.see("Rosa <b>Vogt</b>")
        for width, height in ((1280, 800), (390, 844)):
            for is_dark in (False, True):
                browser.look_as(width, height, is_dark=is_dark)
                browser.assert_accessible()
                _assert_focus_is_visible(browser)
    browser.all("[popovertarget]")[0].click()
    # The page is as narrow as a phone, where the switch is in the menu.
    wait(lambda: browser.focused == "Before training")
    browser.assert_accessible()
    names = (
        *("Facts about this model", "Earlier chats", "Search in this chat"),
        *(f"How much it writes like {_NAME}", "Delete chat …"),
    )
    for name in names:
        if not browser.all(".menu:popover-open"):
            browser.all("[popovertarget]")[0].click()
        browser.click(name)
        wait(lambda: browser.all("dialog.ask"))
        browser.assert_accessible()
        browser.key(Keys.ESCAPE)
        wait(lambda: not browser.all("dialog.ask"))
    browser.assert_no_errors()


def _assert_focus_is_visible(browser: Browser) -> None:
    """Press Tab through the screen, and look at the computed outline."""
    seen: list[Any] = []
    browser.driver.execute_script("document.querySelector('.skip').focus()")
    for _ in range(30):
        browser.key(Keys.TAB)
        element = browser.driver.switch_to.active_element
        if element in seen or element.tag_name == "body":
            break
        seen.append(element)
        is_visible = browser.driver.execute_script(_FOCUS, element)
        assert is_visible, element.get_attribute("outerHTML")
    assert len(seen) > 3


def test_page_says_how_to_start_the_program(
    tmp_path: Path, model: Model, browsers: Browsers
) -> None:
    del model
    browser = browsers()
    with opened(tmp_path, None, start=("-c", _COMMAND)) as command:
        browser.open(command.link)
        browser.go(_TALK)
        browser.wait_for_connection()
        # A second start shows the running page.
        second = browsers()
        with opened(tmp_path, None, start=("-c", _COMMAND)) as other:
            second.open(other.link)
            second.see("Chats")
            assert second.address.rpartition("/")[0].startswith(
                command.address.rstrip("/")
            )
        browser.click("⋮")
        browser.click("Search in this chat")
        wait(lambda: browser.all("dialog"))
    browser.see("The program Chat exports is not running.")
    browser.see("Start Chat exports again from your programs")
    wait(
        lambda: browser.driver.execute_script(
            "return document.getElementById('frame').inert"
        )
    )
    assert not browser.all("dialog[open]")
