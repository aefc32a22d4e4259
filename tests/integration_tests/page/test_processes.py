"""The processes of a page that trains and answers at the same time."""

import asyncio
from pathlib import Path

import psutil
import pytest

from langchain_chatexports.local_server import State, Workspace
from langchain_chatexports.page.conversation import Conversations
from langchain_chatexports.page.people import list_people
from langchain_chatexports.page.session import PageSession
from langchain_chatexports.samples import write_messenger
from tests.integration_tests.page.conftest import wait
from tests.unit_tests.builders.workspaces import add_job

pytestmark = pytest.mark.training

_SECONDS = 600


async def _talk(session: PageSession) -> None:
    await session.poller.refresh()
    person = next(p for p in list_people(session.published.value) if p.model)
    conversation = Conversations(session).get(person)
    await conversation.open()
    conversation.send("Hello")
    while conversation.state.is_busy:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.1)


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
        teacher, name = session.teacher, "Harry Potter"
        teacher.prepare("harry", name)
        teacher.preparing.join(_SECONDS)
        teacher.train(teacher.lessons["harry"], base)
        teacher.training.join(_SECONDS)
        wait(lambda: session.read().stored.models)
        add_job(
            workspace, base=base, base_model="tiny", hyperparameters={"n_epochs": 50}
        )
        wait(lambda: session.read().stored.jobs[0].step)
        asyncio.run(_talk(session))
        children = [c for c in this.children(recursive=True) if c.pid not in before]
        assert session.stored.snapshot.jobs[0].state is State.RUNNING
        assert len(children) == 2  # The trainer and llama.cpp.
    _, alive = psutil.wait_procs(children, timeout=_SECONDS)
    assert not alive
