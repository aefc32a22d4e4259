"""A training run on the page: two tabs, stop, continue, restart, killed trainer."""

from pathlib import Path

import pytest

from langchain_chatexports.local_server import Job, State, Workspace
from langchain_chatexports.page.people import person_key
from langchain_chatexports.samples import write_messenger
from tests.integration_tests.page.conftest import Browsers, opened, wait

pytestmark = pytest.mark.training


def test_stopped_or_killed_training_continues(
    tmp_path: Path, tiny_base: Path, browsers: Browsers
) -> None:
    export = write_messenger(tmp_path / "hogwarts")
    workspace = Workspace(tmp_path / "data")

    def find_job() -> Job:
        (job,) = workspace.jobs.list()
        return job

    sheet = f"teach/{person_key('Harry Potter')}"
    with opened(tmp_path, tiny_base) as command:
        one, other = browsers(), browsers(width=390, is_dark=True)
        one.open(command.link)
        one.add_path(export)
        one.see("663 messages")
        one.go(sheet)
        one.see("It learns from")
        # Open the other tab first, since training only takes seconds.
        other.open(command.next_link())
        other.go(sheet)
        other.see("It learns from")
        one.click("Teach it")
        other.see("learning")
        other.click("Pause")
        one.see("Paused. It goes on where it stopped.")
        one.assert_accessible()
        job = find_job()
        assert job.state is State.PAUSED
        assert 0 < job.saved_step < (job.steps or 0)
    with opened(tmp_path, None) as command:
        # The job's own base is used; closing the tab does not stop training.
        one.open(command.link)
        one.go(sheet)
        one.click("Continue")
        wait(lambda: find_job().state is State.RUNNING)
        command.kill_children()
        one.see("may have too little free memory")
        one.go("settings")
        one.see("has not learned to the end")
        one.go(sheet)
        one.click("Continue")
        wait(lambda: find_job().state is State.RUNNING)
        wait(lambda: "too little free memory" not in one.text)
        one.open("about:blank")
        wait(lambda: find_job().state is State.SUCCEEDED)
        other.open(command.next_link())
        other.go(sheet)
        other.see("Harry Potter has learned")
