"""What is kept is renamed, forgotten and deleted on the page, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import list_models
from langchain_chatexports.local_server.storage.deletion import count_data
from langchain_chatexports.samples import write_imessage
from tests.integration_tests.page.conftest import Browser, Command, wait
from tests.unit_tests.builders.kept_models import keep_model

_HEBREW = "ארנבת"


def test_models_are_renamed_and_deleted_and_exports_stay(
    command: Command, browsers: Callable[..., Browser], tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    keep_model(data_dir, "97c300000001", suffix="hare", person="Hare")
    keep_model(data_dir, "97d300000002", suffix="tortoise", person="Tortoise")
    (data_dir / "mine.txt").write_text("not the server's")
    export = write_imessage(tmp_path / "chat.db")
    before = export.read_bytes(), export.stat().st_mtime_ns
    person = browsers(width=390, is_dark=True)
    person.open(command.link)
    person.write("Or the path", f"{export}\n")
    person.see("messages kept")
    person.go("manage")
    person.see("The voice of Hare")
    person.tab_to("Rename Tortoise")
    person.key(Keys.ENTER)
    wait(lambda: person.all(".asked"))
    label = "return document.activeElement.getAttribute('aria-label')"
    wait(lambda: person.driver.execute_script(label) == "New name")
    person.key(_HEBREW, Keys.ENTER)
    wait(lambda: not person.all(".asked"))
    person.see(_HEBREW)
    (name,) = (h for h in person.all("h3") if h.text == _HEBREW)
    assert name.value_of_css_property("direction") == "rtl"

    person.tab_to("Delete Hare")
    person.key(Keys.ENTER)
    person.see("Not deleted: your exports")
    person.assert_accessible()
    person.click("Cancel")
    wait(lambda: not person.all(".asked"))
    assert count_data(data_dir).models == 2
    person.tab_to("Delete Hare")
    person.key(Keys.ENTER)
    person.click_in_dialog("Delete")
    wait(lambda: "The voice of Hare" not in person.text)
    (left,) = list_models(data_dir)
    assert left.title == _HEBREW
    assert count_data(data_dir).files == 1

    person.click("Delete everything …")
    person.see("1 model, 1 training, 1 file of examples")
    person.click_in_dialog("Delete everything")
    person.see("There is no trained model on this machine.")
    assert count_data(data_dir) == count_data(tmp_path / "none")
    assert (export.read_bytes(), export.stat().st_mtime_ns) == before
    assert (data_dir / "mine.txt").exists()
    person.collect()
    assert not person.errors
