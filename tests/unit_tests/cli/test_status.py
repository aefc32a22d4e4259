"""`chatexports status`: what runs, and what uses the disk."""

import json
from pathlib import Path

from langchain_chatexports.local_server import Workspace
from tests.unit_tests.builders.workspaces import add_job, add_model
from tests.unit_tests.cli.conftest import Run


def test_models_and_jobs_have_sizes_and_deletions(run: Run, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "data")
    model = add_model(workspace)
    job = add_job(workspace, hyperparameters={"steps": 3})
    done = run("status", "--data-dir", workspace.data_dir)
    assert done.status == 0, done.err
    assert f"{job.id}: queued" in done.out
    assert f"model {model.short_name}" in done.out
    assert f"chatexports models --delete {model.short_name}" in done.out
    values = json.loads(run("status", "--data-dir", workspace.data_dir, "--json").out)
    assert [row["id"] for row in values["jobs"]] == [job.id]
    assert values["free_bytes"] > 0


def test_a_paused_job_says_how_to_resume(run: Run, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "data")
    job = add_job(workspace, hyperparameters={"steps": 3})
    workspace.jobs.pause(job.id)
    done = run("status", "--data-dir", workspace.data_dir)
    assert f"{job.id}: paused, step 0. To resume it, run" in done.out
    assert "chatexports serve" not in done.err


def test_an_index_is_named_by_its_chats(run: Run, chats: Path) -> None:
    assert run("search", "race", chats).status == 0
    out = run("status").out
    assert "Nothing is being trained." in out
    assert "search index of " in out
    assert " more " in out
