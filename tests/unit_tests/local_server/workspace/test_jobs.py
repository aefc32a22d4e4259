"""Jobs: one for each order, guarded changes, events."""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.local_server.errors import (
    DiskFullError,
    NotFoundError,
    StateError,
)
from langchain_chatexports.local_server.workspace import (
    DataDirectory,
    Event,
    Job,
    State,
    Workspace,
    default_data_dir,
)
from tests.unit_tests.builders.workspaces import add_job, add_model

_EVENTS = 40


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")


@pytest.fixture
def job(workspace: Workspace) -> Job:
    return add_job(workspace)


def _order(workspace: Workspace, **changes: Any) -> tuple[Job, bool]:
    file = workspace.files.create(b"{}\n")
    order = {"base": "tiny", "base_model": "tiny", "training_file": file.id}
    return workspace.jobs.find_or_create(**{**order, **changes})


def test_equal_orders_are_one_job(workspace: Workspace) -> None:
    workspace.prepare()
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: _order(workspace), range(16))]
    assert len({job.id for job, _ in found}) == sum(new for _, new in found) == 1


@pytest.mark.parametrize(
    "change",
    [{"suffix": "x"}, {"seed": 5}, {"hyperparameters": {"n_epochs": 2}}, {"key": "x"}],
)
def test_other_orders_are_other_jobs(workspace: Workspace, change: Any) -> None:
    first, _ = _order(workspace)
    assert _order(workspace, **change)[0].id != first.id
    assert _order(workspace, metadata={"a": "b"}) == (first, False)


@pytest.mark.parametrize("state", [State.PAUSED, State.FAILED, State.SUCCEEDED])
def test_job_is_found_in_any_state(workspace: Workspace, state: State) -> None:
    job, _ = _order(workspace)
    workspace.model_folder(job.id).mkdir()
    workspace.jobs.move(job.id, state, "x", sources=(State.QUEUED,))
    found, is_new = _order(workspace)
    assert (found.id, found.state, is_new) == (job.id, state, False)


def test_cancelled_or_deleted_job_is_ordered_anew(workspace: Workspace) -> None:
    first, _ = _order(workspace)
    workspace.jobs.cancel(first.id)
    second, is_new = _order(workspace)
    assert is_new
    workspace.jobs.delete(second.id)
    assert _order(workspace)[1]


def test_job_whose_model_is_gone_is_ordered_anew(workspace: Workspace) -> None:
    job, _ = _order(workspace)
    workspace.jobs.move(job.id, State.SUCCEEDED, "x", sources=(State.QUEUED,))
    assert _order(workspace)[1]


def test_order_needs_its_files(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match="Upload them again"):
        _order(workspace, validation_file="file-" + "0" * 32)
    assert workspace.jobs.list() == ()


def test_order_needs_free_space(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _order(workspace)
    free = type("Usage", (), {"free": 3_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    with pytest.raises(DiskFullError, match="3 MB free, but training needs"):
        _order(workspace, key="another")
    assert not _order(workspace)[1]


_CHANGES = {"pause": State.PAUSED, "resume": State.QUEUED, "cancel": State.CANCELLED}
_ALLOWED = {
    "pause": {State.QUEUED, State.RUNNING, State.PAUSED},
    "resume": {State.QUEUED, State.PAUSED, State.FAILED},
    "cancel": {State.QUEUED, State.RUNNING, State.PAUSED},
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("change", _CHANGES)
def test_change_depends_on_the_state(
    workspace: Workspace, job: Job, change: str, state: State
) -> None:
    error = {"code": "x"} if state is State.FAILED else None
    workspace.jobs.move(job.id, state, "x", sources=(State.QUEUED,), error=error)
    call = getattr(workspace.jobs, change)
    if state not in _ALLOWED[change]:
        with pytest.raises(StateError, match=f"Cannot {change} a job that is {state}"):
            call(job.id)
        return
    changed = call(job.id)
    assert (changed.state, changed.error) == (_CHANGES[change], None)
    assert (changed.finished_at is None) == (change != "cancel")


@pytest.mark.parametrize("change", [*_CHANGES, "get", "delete"])
@pytest.mark.parametrize("name", ["x", "ftjob-../files", "ftjob-" + "0" * 24])
def test_unknown_job_is_an_error(workspace: Workspace, change: str, name: str) -> None:
    for _ in ("missing directory", "prepared"):
        with pytest.raises(NotFoundError, match="No job"):
            getattr(workspace.jobs, change)(name)
        workspace.prepare()


def test_guarded_move_happens_once(workspace: Workspace, job: Job) -> None:
    def move(_: int) -> bool:
        queued = (State.QUEUED,)
        return workspace.jobs.move(job.id, State.RUNNING, "x", sources=queued)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 1


def test_step_is_the_progress(workspace: Workspace, job: Job) -> None:
    workspace.jobs.log_step(job.id, 3, 20, 0.5, valid_loss=0.75)
    after = workspace.jobs.get(job.id)
    assert (after.step, after.steps, after.loss) == (3, 20, 0.5)
    event = workspace.jobs.events(job.id)[-1]
    assert (event.kind, event.level) == ("step", "info")
    assert event.message == "Step 3/20: training loss=0.5, validation loss=0.75"
    expected = {"step": 3, "total_steps": 20, "train_loss": 0.5, "valid_loss": 0.75}
    assert event.data == expected


def test_events_are_read_once(workspace: Workspace, job: Job) -> None:
    first = workspace.jobs.events(job.id)
    assert [event.message for event in first] == [f"Created fine-tuning job: {job.id}"]
    workspace.jobs.log(job.id, "unusual", level="warn", count=1)
    (new,) = workspace.jobs.events(job.id, after=first[-1].number)
    assert (new.kind, new.level, new.data) == ("message", "warn", {"count": 1})
    assert workspace.jobs.latest_events(job.id, limit=1) == (new,)
    assert workspace.jobs.latest_events(job.id, before=new.number) == first


def test_deleted_job_gets_no_events(workspace: Workspace, job: Job) -> None:
    workspace.jobs.delete(job.id)
    workspace.jobs.log(job.id, "too late")
    workspace.jobs.log_step(job.id, 1, 2, 0.5)
    assert workspace.jobs.events(job.id) == ()


def test_follow_ends_with_the_job(workspace: Workspace, job: Job) -> None:
    seen: list[Event] = []
    reader = threading.Thread(target=lambda: seen.extend(workspace.jobs.follow(job.id)))
    reader.start()
    workspace.jobs.log(job.id, "working")
    workspace.jobs.pause(job.id)
    reader.join(60)
    assert seen == [*workspace.jobs.events(job.id)]
    assert seen[-1].message == "The job was paused"


def test_follow_can_be_stopped(workspace: Workspace, job: Job) -> None:
    stop = threading.Event()
    events = workspace.jobs.follow(job.id, stop=stop)
    next(events)
    stop.set()
    assert [*events] == []


def test_queued_job_has_a_position(workspace: Workspace) -> None:
    first, second, third = (add_job(workspace, key=str(n)) for n in range(3))
    workspace.jobs.move(second.id, State.RUNNING, "x", sources=(State.QUEUED,))
    jobs = workspace.snapshot().jobs
    assert [job.id for job in jobs] == [third.id, second.id, first.id]
    message = workspace.jobs.events(third.id)[-1].message
    assert message == (
        f"Queued behind job {second.id} (position 3); jobs run one at a time"
    )


def test_another_process_sees_each_change(workspace: Workspace) -> None:
    workspace.prepare()
    other = Workspace(workspace.data_dir)
    with workspace.versions() as versions:
        before = versions.read()
        job = add_job(other)
        assert versions.read() != before
    snapshot = workspace.snapshot()
    assert snapshot.jobs_of(snapshot.files[0]) == (job,)


def test_queue_is_seen_by_its_lock(workspace: Workspace) -> None:
    workspace.prepare()
    assert not workspace.has_queue()
    with workspace.lock("queue") as lock:
        assert not workspace.has_queue()
        assert lock.acquire()
        assert workspace.has_queue()
    assert not workspace.has_queue()


def test_snapshot_is_fast(workspace: Workspace) -> None:
    """2 ms of CPU, or 10 on a busy machine, with 2,000 events."""
    for number in range(12):
        add_job(workspace, key=str(number))
    job = workspace.jobs.list()[0]
    with DataDirectory(workspace.data_dir).connect(writes=True) as database:
        rows = [(job.id, 0.0, "step", "info", "Step", "{}")] * 2000
        columns = "job_id, created_at, kind, level, message, data"
        query = f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?, ?, ?)"
        database.executemany(query, rows)
    started = time.process_time()
    for _ in range(20):
        workspace.snapshot()
        workspace.jobs.events(job.id, after=2000)
    assert (time.process_time() - started) / 20 < 0.01


def _write_events(root: str, job_id: str) -> None:
    workspace = Workspace(root)
    for step in range(1, _EVENTS + 1):
        workspace.jobs.log_step(job_id, step, _EVENTS, 0.5)


def test_concurrent_writes_are_not_lost(workspace: Workspace, job: Job) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(workspace.data_dir), job.id)
    writers = [context.Process(target=_write_events, args=arguments) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(300)
    events = workspace.jobs.events(job.id)
    assert sum(event.kind == "step" for event in events) == 2 * _EVENTS
    assert workspace.jobs.get(job.id).step == _EVENTS


def test_default_directory_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: Path("/user"))
    assert default_data_dir() == Path("/user/local-server")


def test_model_has_the_results_of_its_job(workspace: Workspace) -> None:
    results = {"system_prompt": "Be kind.", "user_label": "Hare", "reply_tokens": 40}
    model = add_model(workspace, results=results, suffix="José M.")
    assert (model.prompt.system, model.prompt.label) == ("Be kind.", "Hare")
    assert model.reply_tokens == 40
    job = workspace.jobs.get(model.job_id)
    assert job.model == model.name == f"ft:tiny:local:jose-m:{job.id[6:18]}"
