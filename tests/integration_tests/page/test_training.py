"""A training run on the page: two tabs, stop, continue, restart, killed server."""

from pathlib import Path

import pytest

from langchain_chatexports.local_server.storage.jobs import list_jobs
from langchain_chatexports.samples import write_messenger
from tests.integration_tests.page.conftest import Browsers, opened, wait

pytestmark = pytest.mark.training


def test_stopped_or_killed_training_continues(
    tmp_path: Path, tiny_base: Path, browsers: Browsers
) -> None:
    export = write_messenger(tmp_path / "hogwarts")
    data_dir = tmp_path / "data"
    with opened(tmp_path, tiny_base) as command:
        one, other = browsers(), browsers(width=390, is_dark=True)
        one.open(command.link)
        one.write("Or the path", f"{export}\n")
        one.see("messages kept")
        one.go("choose")
        one.click("Next: create examples")
        one.see("Choose a base model")
        # Open the other tab first, since training only takes seconds.
        other.open(command.next_link())
        other.go("train")
        one.click("Next: train")
        # Four minutes for the start of the server, and four for that of the trainer.
        other.see("Harry Potter")
        other.see("Step ")
        other.click("Stop")
        one.see("Stopped · ")
        (job,) = list_jobs(data_dir)
        assert job.status == "stopped"
        assert 0 < job.saved_step < (job.total_steps or 0)
    with opened(tmp_path, None) as command:
        # The job's own base is used; closing the tab does not stop training.
        one.open(command.link)
        one.go("train")
        one.click("Continue")
        wait(lambda: list_jobs(data_dir)[0].status == "running")
        command.kill_servers()
        one.see("The local server stopped unexpectedly")
        one.go("manage")
        one.see("Stopped · Step ")
        one.go("train")
        one.click("Continue")
        wait(lambda: list_jobs(data_dir)[0].status == "running")
        wait(lambda: "unexpectedly" not in one.text)
        one.open("about:blank")
        wait(lambda: list_jobs(data_dir)[0].status == "succeeded")
        other.open(command.next_link())
        other.go("train")
        other.see("Done · ")
