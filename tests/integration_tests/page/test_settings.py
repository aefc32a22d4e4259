"""Models are deleted on the page, and exports are not changed."""

from pathlib import Path

from selenium.webdriver.common.keys import Keys

from langchain_chatexports.local_server import Workspace, job_labels
from langchain_chatexports.samples import write_imessage
from tests.integration_tests.page.conftest import Browsers, opened, wait
from tests.unit_tests.builders.workspaces import add_model

_HEBREW = "ארנבת"


def test_models_are_deleted(
    browsers: Browsers, tiny_base: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "data")
    for person in ("Hare", _HEBREW):
        suffix, metadata = job_labels(person, "imessage chat.db")
        add_model(workspace, mark=person, suffix=suffix, metadata=metadata)
    (workspace.data_dir / "mine.txt").write_text("not the server's")
    export = write_imessage(tmp_path / "chat.db")
    before = export.read_bytes(), export.stat().st_mtime_ns
    browser = browsers(width=390, is_dark=True)
    # A page that is open already would train the jobs of these models.
    with opened(tmp_path, tiny_base) as command:
        browser.open(command.link)
        browser.go("add")
        browser.add_path(export)
        browser.see("223 messages")
        browser.go("settings")
        browser.see("writes like Hare")
        browser.assert_accessible()
        (name,) = (h for h in browser.all("h3") if h.text == _HEBREW)
        assert name.value_of_css_property("direction") == "rtl"

        browser.tab_to("Delete: Hare")
        browser.key(Keys.ENTER)
        browser.see("What stays: your chats")
        browser.assert_accessible()
        wait(lambda: browser.focused == "Cancel")
        browser.key(Keys.ESCAPE)
        wait(lambda: not browser.all("dialog"))
        assert len(workspace.models.list()) == 2
        browser.tab_to("Delete: Hare")
        browser.key(Keys.ENTER)
        browser.click_in_dialog("Delete")
        wait(lambda: "writes like Hare" not in browser.text)
        assert [model.title for model in workspace.models.list()] == [_HEBREW]
        assert len(workspace.files.list()) == 1

        browser.write("Name or phone number", f"{_HEBREW}{Keys.ENTER}")
        browser.see("What still knows this person:")
        browser.assert_accessible()
        browser.click("Delete everything …")
        browser.see("1 model · 1 set to learn from")
        browser.click_in_dialog("Delete everything")
        browser.see("There are no models on this computer yet.")
        stored = workspace.snapshot()
        assert not any((stored.jobs, stored.models, stored.files))
        assert (export.read_bytes(), export.stat().st_mtime_ns) == before
        assert (workspace.data_dir / "mine.txt").exists()
        browser.assert_no_errors()
