"""The processes of a page that trains and answers at the same time."""

from pathlib import Path

import psutil
import pytest

from langchain_chatexports.local_server import State, Workspace
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.samples import write_messenger
from tests.integration_tests.page.conftest import wait
from tests.unit_tests.builders.workspaces import add_job

pytestmark = pytest.mark.training

_SECONDS = 600


def test_page_that_trains_and_answers_has_two_children(
    tmp_path: Path, tiny_base: Path
) -> None:
    this = psutil.Process()
    before = {child.pid for child in this.children(recursive=True)}
    base = str(tiny_base)
    workspace = Workspace(tmp_path / "data")
    with PageSession(base, workspace.data_dir) as session:
        session.exports.add([write_messenger(tmp_path / "hogwarts")])
        session.exports.join(_SECONDS)
        session.prepare()
        session.preparing.join(_SECONDS)
        session.train(base)
        session.job_work.join(_SECONDS)
        (model,) = wait(lambda: session.snapshot.models)
        add_job(
            workspace, base=base, base_model="tiny", hyperparameters={"n_epochs": 50}
        )
        wait(lambda: session.snapshot.jobs[0].step)
        session.talk.choose(model)
        session.talk.reply_work.join(_SECONDS)
        assert session.talk.send("Hello")
        session.talk.reply_work.join(_SECONDS)
        assert session.talk.reply_work.error is None
        children = [c for c in this.children(recursive=True) if c.pid not in before]
        assert session.snapshot.jobs[0].state is State.RUNNING
        assert len(children) == 2  # The trainer and llama.cpp.
    _, alive = psutil.wait_procs(children, timeout=_SECONDS)
    assert not alive
