"""The same coroutines with an event loop and without one."""

from __future__ import annotations

import asyncio

import pytest

from langchain_chatexports.finetuning.connection import run_blocking
from tests.unit_tests.builders.openai_server import OpenAIServer
from tests.unit_tests.builders.tuners import make_examples, make_tuner


def test_what_would_wait_for_an_event_loop_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="suspended"):
        run_blocking(asyncio.sleep(0))


async def test_the_sync_methods_work_where_an_event_loop_runs() -> None:
    """As in a notebook."""
    with OpenAIServer().running() as server:
        run = make_tuner(server).submit(make_examples())
        events = run.events()
        assert next(events).message == "Created fine-tuning job"
        assert [event.message for event in events][-1] == "The job is succeeded"
        assert make_tuner(server).invoke(make_examples()).model_name
    assert len(server.jobs) == 1
