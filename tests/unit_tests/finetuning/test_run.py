import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from langchain_chatexports.exceptions import (
    FineTuningError,
    FineTuningTimeoutError,
    FineTuningUnavailableError,
)
from tests.unit_tests.builders.openai_server import (
    CREATE,
    POLL,
    Fault,
    OpenAIServer,
    lost,
)
from tests.unit_tests.builders.tuners import FakeClock, make_examples, make_tuner

MODEL = "ft:tiny-1:org::1"
ENDED = "The job is succeeded"


async def test_async_methods_equal_sync_ones(server: OpenAIServer) -> None:
    run = await make_tuner(server).asubmit(make_examples())
    assert (await run.arefresh()).status == "running"
    assert [event.message async for event in run.aevents()][-1] == ENDED
    assert (await run.await_()).chat_model().model_name == MODEL
    assert [item.step_number for item in await run.acheckpoints()] == [10, 20]
    assert await run.acancel() == "succeeded"
    await run.adelete_training_file()
    await run.adelete_model()
    assert server.deleted == ["file-1"]
    assert MODEL not in server.models


def test_unknown_job_is_an_error(server: OpenAIServer) -> None:
    with pytest.raises(FineTuningError, match="'ftjob-9'") as caught:
        make_tuner(server).get("ftjob-9")
    assert caught.value.job_id == "ftjob-9"


def test_unfinished_model_is_not_returned(server: OpenAIServer) -> None:
    run = make_tuner(server).submit(make_examples())
    server.jobs[run.id]["fine_tuned_model"] = "ft:tiny-1:unfinished"
    with pytest.raises(FineTuningError, match=r"\(running\)"):
        run.refresh().chat_model()


def test_checkpoint_can_be_used_as_chat_model(server: OpenAIServer) -> None:
    run = make_tuner(server).submit(make_examples()).wait()
    first = run.checkpoints()[0]
    assert run.chat_model(checkpoint=first).model_name == f"{MODEL}:ckpt-step-10"
    assert run.chat_model(checkpoint="x").model_name == "x"


def test_events_of_several_pages_keep_their_order() -> None:
    with OpenAIServer(page_size=2).running() as server:
        run = make_tuner(server).submit(make_examples())
        for number in range(7):
            server.add_event("ftjob-1", f"step {number}")
        messages = [event.message for event in run.events()]
    assert messages == [
        "Created fine-tuning job",
        *(f"step {number}" for number in range(7)),
        "The job is running",
        ENDED,
    ]


def test_temporary_error_keeps_last_events(server: OpenAIServer) -> None:
    server.statuses = ("queued", "succeeded")
    server.faults.append(Fault("GET .*/events", 2, status=503))
    run = make_tuner(server).submit(make_examples())
    assert [event.message for event in run.events()][-1] == ENDED


def test_reversed_event_list_is_sorted(server: OpenAIServer) -> None:
    run = make_tuner(server).submit(make_examples())
    body = {
        "data": [
            {"id": str(n), "created_at": n, "message": f"m{n}", "level": "info"}
            for n in range(3)
        ]
    }
    server.faults.append(Fault("GET .*/events", -1, status=200, body=body))
    assert [event.message for event in run.events()] == ["m0", "m1", "m2"]


def test_failing_callback_is_logged(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Any) -> None:
        raise RuntimeError(event.message)

    make_tuner(server, on_event=broken).invoke(make_examples())
    assert caplog.text.count("on_event raised a RuntimeError") == 3
    assert "Created fine-tuning" not in caplog.text


def test_wait_can_be_repeated_after_its_timeout(clock: FakeClock) -> None:
    statuses = ("queued", *["running"] * 9, "succeeded")
    with OpenAIServer(statuses=statuses).running() as server:
        run = make_tuner(server).submit(make_examples())
        with pytest.raises(FineTuningTimeoutError, match="10 s") as caught:
            run.wait(timeout=10)
        assert (caught.value.job_id, caught.value.status) == ("ftjob-1", "running")
        assert sum(clock.sleeps) == 10
        assert run.wait().status == "succeeded"


def test_repeated_wait_repeats_no_event(server: OpenAIServer) -> None:
    messages: list[str] = []
    tuner = make_tuner(server, on_event=lambda event: messages.append(event.message))
    run = tuner.submit(make_examples()).wait().wait()
    assert len(messages) == len(set(messages)) == 3
    assert len(list(run.events())) == 3


def test_sdk_does_not_sleep_beyond_the_timeout(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_tuner(server, timeout=60).submit(make_examples())
    sleeps: list[float] = []
    monkeypatch.setattr("openai._base_client.time.sleep", sleeps.append)
    headers = {"retry-after": "50"}
    server.faults.append(Fault(POLL, status=429, headers=headers))
    run.refresh()
    assert sleeps == [50]
    server.faults.append(Fault(POLL, status=429, headers={"retry-after": "70"}))
    with pytest.raises(FineTuningUnavailableError, match="70 s"):
        run.refresh()
    assert sleeps == [50]


def test_wait_for_model_name_respects_timeout(clock: FakeClock) -> None:
    with OpenAIServer(final={"fine_tuned_model": None}).running() as server:
        run = make_tuner(server, poll_interval=50).submit(make_examples())
        with pytest.raises(FineTuningTimeoutError, match="has succeeded") as caught:
            run.wait(timeout=60)
    assert "continues" not in str(caught.value)
    assert sum(clock.sleeps) <= 60


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_interrupted_wait_does_not_cancel_the_job(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    run = make_tuner(server).submit(make_examples())
    clock.on_sleep = _interrupt
    with pytest.raises(KeyboardInterrupt) as caught:
        run.wait()
    assert "Job ftjob-1 continues, and may be billed" in caplog.text
    assert "ftjob-1" in caught.value.__notes__[0]
    assert server.jobs["ftjob-1"]["status"] != "cancelled"


def test_interrupted_create_is_explained(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    clock.on_sleep = _interrupt
    server.faults.append(lost(CREATE))
    with pytest.raises(KeyboardInterrupt):
        make_tuner(server).invoke(make_examples())
    assert "Interrupted while creating the job" in caplog.text


async def _drain(events: AsyncIterator[Any]) -> None:
    async for _ in events:
        pass


@pytest.mark.parametrize("how", ["ainvoke", "await_", "aevents"])
async def test_cancelled_task_does_not_cancel_the_job(
    how: str, server: OpenAIServer, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    server.statuses = ("running",)
    tuner = make_tuner(server)
    run = tuner.submit(make_examples())
    calls: dict[str, Callable[[], Any]] = {
        "ainvoke": lambda: tuner.ainvoke(make_examples()),
        "await_": run.await_,
        "aevents": lambda: _drain(run.aevents()),
    }
    polled = asyncio.Event()
    loop = asyncio.get_running_loop()

    def poll() -> None:
        loop.call_soon_threadsafe(polled.set)

    clock.on_sleep = poll
    task = asyncio.create_task(calls[how]())
    await polled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert "Job ftjob-1 continues" in caplog.text
    assert "ftjob-1" in caught.value.__notes__[0]
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(60)
            assert not thread.is_alive()
    assert server.jobs["ftjob-1"]["status"] == "running"


def test_deletion_can_be_repeated(server: OpenAIServer) -> None:
    run = make_tuner(server, validation_examples=make_examples(1)).submit(
        make_examples()
    )
    run.wait()
    for _ in range(2):
        run.delete_training_file()
        run.delete_model()
    assert server.deleted == ["file-1", "file-2"]


def test_failed_deletion_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    missing = ("DELETE .*",)
    with OpenAIServer(routes_missing=missing).running() as server:
        run = make_tuner(server, delete_training_file=True).submit(make_examples())
        assert run.wait().status == "succeeded"
        assert "file-1 could not be deleted" in caplog.text
        with pytest.raises(FineTuningError, match="DELETE /files, 404"):
            run.delete_training_file()
        with pytest.raises(FineTuningError, match="DELETE /models, 404"):
            run.delete_model()
