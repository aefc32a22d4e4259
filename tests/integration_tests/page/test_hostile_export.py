"""Names and messages are shown as text, even if they contain HTML."""

from pathlib import Path

from tests.integration_tests.page.conftest import Browsers, Command
from tests.unit_tests.builders.messenger import Export

_NAMES = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe \N{ARABIC LETTER ALEF} 🐢",
    "{{ constructor.constructor('alert(3)')() }}${alert(4)}`",
    "N" * 10_000,
)
_TEXT = "<b onmouseover=alert(5)>bold</b> <iframe src=//evil.example></iframe>"


def _write(path: Path) -> None:
    export = Export()
    for number, name in enumerate(_NAMES):
        thread = export.thread(f"chat_{number}", [name, "Owner"])
        for at in range(96):
            sender = "Owner" if at % 2 else name
            thread.says(sender, f"{_TEXT} {number} {at}", 10**12 + at * 60_000)
    export.to_zip(path)


def test_hostile_names_and_messages_are_text(
    shared: Command, browsers: Browsers, tmp_path: Path
) -> None:
    bad_name = "a<img src=x onerror=alert(6)>.zip"
    _write(tmp_path / bad_name)
    browser = browsers(width=390)
    browser.open_empty(shared)
    browser.choose_files(tmp_path / bad_name)
    browser.see("480 messages")
    browser.see(bad_name)
    browser.see(f"Talk with {_NAMES[0]} now")
    browser.assert_no_html()
    browser.assert_fits_window()
    (link, *_) = browser.all("a[aria-label*='<img src=x']")
    browser.open(link.get_attribute("href") or "")
    browser.see(f"that {_NAMES[0]} wrote")
    browser.click("What it learns from")
    browser.see("<b onmouseover=alert(5)>bold</b>")
    browser.assert_no_html()
    browser.assert_fits_window()
    browser.go("search")
    browser.write("Words", "bold\n")
    browser.see("messages with “bold”")
    browser.assert_no_html()
    browser.assert_fits_window()
    browser.assert_no_errors()
