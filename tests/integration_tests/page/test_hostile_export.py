"""Names and messages are shown as text, whatever is in them."""

from collections.abc import Callable
from pathlib import Path

from selenium.common.exceptions import NoAlertPresentException

from tests.integration_tests.page.conftest import Browser, Command
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
        for at in range(24):
            sender = "Owner" if at % 2 else name
            thread.says(sender, f"{_TEXT} {number} {at}", 10**12 + at * 60_000)
    export.to_zip(path)


def test_hostile_names_and_messages_are_text(
    shared: Command, browsers: Callable[..., Browser], tmp_path: Path
) -> None:
    bad_name = "a<img src=x onerror=alert(6)>.zip"
    _write(tmp_path / bad_name)
    person = browsers(width=390)
    person.begin(shared)
    person.choose_files(tmp_path / bad_name)
    person.see("messages kept")
    person.see(bad_name)
    person.click("Next: choose whose voice to learn")
    person.choose("Whose voice", _NAMES[0])
    person.click("Next: make the examples")
    person.see("What the model learns from")
    person.see("<b onmouseover=alert(5)>bold</b>")
    person.click("Next")
    person.see("Example 2 of")
    assert not person.all("main img, iframe[src*=evil], b[onmouseover]")
    try:
        person.driver.switch_to.alert.dismiss()
    except NoAlertPresentException:
        pass
    else:
        raise AssertionError
    width = "return document.documentElement.scrollWidth <= innerWidth"
    assert person.driver.execute_script(width)
    person.collect()
    assert not person.errors
