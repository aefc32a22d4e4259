"""`chatexports models`, `export-model`, and the list of bases."""

import json
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.cli import _console as console
from langchain_chatexports.local_server import (
    Model,
    State,
    Workspace,
    fitting_bases,
    job_labels,
    known_bases,
)
from tests.unit_tests.builders.workspaces import add_job, add_model
from tests.unit_tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not delete the developer's converted bases."""
    monkeypatch.setattr(
        "langchain_chatexports.workflows.models.list_cache_folders", list
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "kept")


@pytest.fixture
def models(workspace: Workspace) -> list[Model]:
    """Two models, newest first."""
    return [add_model(workspace, mark=mark) for mark in "12"][::-1]


@pytest.fixture
def paused(models: list[Model], workspace: Workspace) -> str:
    """The id of a paused job."""
    assert models
    job = add_job(workspace, mark="3")
    workspace.jobs.log_step(job.id, 3, 20, 1.0)
    return workspace.jobs.pause(job.id).id


def _labeled(workspace: Workspace, person: str, source: str, **order: Any) -> Model:
    suffix, labels = job_labels(person, source)
    return add_model(workspace, suffix=suffix, metadata=labels, **order)


def test_table_fits_80_columns(
    run: Run, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_terminal_width", lambda: 80)
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    model = _labeled(
        *(workspace, "Jean Tortoise"),
        "iMessage database, chat.db " + 9 * "and another one.db ",
        base_model="SmolLM2-135M-Instruct-with-a-rather-long-name",
    )
    head, row, note = run("models", "--data-dir", "kept").out.splitlines()
    assert head.split() == ["model", "date", "size", "base"]
    assert row.split()[:4] == [model.short_name, "2023-11-14", "0.0", "MB"]
    assert "SmolLM2-135M-Instruct" in row
    assert note.startswith("    Jean Tortoise, from iMessage database, chat.db and")
    assert max(map(len, (head, row, note))) <= 80


def test_json_has_paths(run: Run, models: list[Model]) -> None:
    data = json.loads(run("models", "--data-dir", "kept", "--json").out)
    assert [model["name"] for model in data["models"]] == [m.name for m in models]
    assert data["models"][0]["folder"] == str(models[0].folder)
    assert (len(data["jobs"]), len(data["files"])) == (2, 2)
    assert data["has_queue"] is False


def test_rename_sets_and_removes_label(run: Run, workspace: Workspace) -> None:
    model = _labeled(workspace, "Hare", "")
    name = model.short_name.split(":")[1]
    done = run("models", "--rename", name, "Hare in 2023", "--data-dir", "kept")
    assert done.err == f"{model.name}: renamed\n"
    table = run("models", "--data-dir", "kept").out
    assert "    “Hare in 2023”, Hare" in table
    listed = run("models", "--data-dir", "kept", "--json").out
    assert json.loads(listed)["models"][0]["label"] == "Hare in 2023"
    run("models", "--rename", "hare in", "", "--data-dir", "kept")
    assert "2023”" not in run("models", "--data-dir", "kept").out


def test_strength_is_set_and_listed(run: Run, workspace: Workspace) -> None:
    model = _labeled(workspace, "Hare", "")
    done = run("models", "--strength", "hare", "0.75", "--data-dir", "kept")
    assert done.err == f"{model.name}: strength 0.75\n"
    listed = run("models", "--data-dir", "kept", "--json").out
    assert json.loads(listed)["models"][0]["strength"] == 0.75
    done = run("models", "--strength", "hare", "2", "--data-dir", "kept")
    assert "from 0 (the base) to 1" in done.err


@pytest.mark.parametrize("is_everything", [False, True])
def test_deletion_needs_consent(
    run: Run, models: list[Model], workspace: Workspace, *, is_everything: bool
) -> None:
    newest, other = models
    option = ("--delete-everything",) if is_everything else ("--delete", newest.name)
    refused = run("models", *option, "--data-dir", "kept")
    assert (refused.status, "--yes" in refused.err) == (1, True)
    assert len(workspace.models.list()) == 2
    done = run("models", *option, "--yes", "--data-dir", "kept", "--json")
    names_left = [model["name"] for model in json.loads(done.out)["models"]]
    assert names_left == ([] if is_everything else [other.name])


def test_jobs_are_listed_below_models(
    run: Run, models: list[Model], paused: str
) -> None:
    lines = run("models", "--data-dir", "kept").out.splitlines()
    assert len(lines) == 1 + len(models) + 1
    assert lines[-1].split()[::2][:2] == [paused, "paused"]
    assert lines[-1].endswith("step 3 of 20")
    assert len(lines[-1]) <= 80


def test_jobs_are_paused_resumed_and_cancelled(
    run: Run, workspace: Workspace, paused: str
) -> None:
    def change(verb: str) -> Any:
        return run("models", f"--{verb}", paused, "--data-dir", "kept")

    done = change("resume")
    assert done.err.startswith(f"{paused}: queued\nNo program runs the jobs")
    assert done.out == ""
    assert "No program runs the jobs" in run("models", "--data-dir", "kept").err
    for verb, state in (("pause", State.PAUSED), ("cancel", State.CANCELLED)):
        assert change(verb).err == f"{paused}: {state}\n"
        assert workspace.jobs.get(paused).state is state
    refused = change("resume")
    assert (refused.status, refused.err) == (
        1,
        "error: Cannot resume a job that is cancelled.\n",
    )
    missing = run("models", "--pause", "ftjob-1", "--data-dir", "kept")
    assert "No job named 'ftjob-1'" in missing.err


def test_bases_are_listed_with_memory_and_license(run: Run) -> None:
    done = run("serve", "--list-bases")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    # Notes are below their base.
    rows = done.out.replace("\n    ", "; ").splitlines()[1:]
    assert [row.split()[0] for row in rows] == [base.id for base in known_bases()]
    for row, base in zip(rows, known_bases(), strict=True):
        assert f"{(base.memory_bytes or 0) / 1e9:.1f} GB" in row
        assert str(base.license) in row
        assert ("suggested" in row) == (base.id == fitting_bases()[-1].id)
    assert "tiny demo model" in rows[0]
