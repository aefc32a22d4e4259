"""`chatexports models`, `export-model`, and the list of bases."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.cli import _console as console
from langchain_chatexports.local_server.bases.known_bases import (
    list_bases,
    suggest_base,
)
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from langchain_chatexports.local_server.storage.deletion import count_data
from langchain_chatexports.local_server.storage.files import FileStore
from langchain_chatexports.local_server.storage.jobs import JobStore
from tests.unit_tests.builders.tuned_models import write_model
from tests.unit_tests.cli.conftest import Run


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not delete the developer's converted bases."""
    monkeypatch.setattr("langchain_chatexports.workflows.models.cache_folders", list)


@pytest.fixture
def names(tmp_path: Path) -> Any:
    """Two models in the folder `kept`, newest first."""
    return [write_model(tmp_path / "kept", f"{n:012x}") for n in (2, 1)]


def test_table_fits_80_columns(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_terminal_width", lambda: 80)
    write_model(
        *(tmp_path / "kept", f"{7:012x}"),
        suffix="Jean Tortoise",
        person="Jean Tortoise",
        source="iMessage database, chat.db " + 9 * "and another one.db ",
        base_model="SmolLM2-135M-Instruct-with-a-rather-long-name",
        created_at=1_700_000_000,
    )
    head, row, note = run("models", "--data-dir", "kept").out.splitlines()
    assert head.split() == ["model", "date", "size", "base"]
    assert row.split()[:4] == [f"jean-tortoise:{7:012x}", "2023-11-14", "0.0", "MB"]
    assert "SmolLM2-135M-Instruct" in row
    assert note.startswith("    Jean Tortoise, from iMessage database, chat.db and")
    assert max(map(len, (head, row, note))) <= 80


def test_json_has_paths(run: Run, names: Any, tmp_path: Path) -> None:
    data = json.loads(run("models", "--data-dir", "kept", "--json").out)
    assert [model["name"] for model in data["models"]] == names
    assert data["models"][0]["path"] == str(tmp_path / "kept" / "models" / f"{2:012x}")
    assert (len(data["jobs"]), len(data["sets"])) == (2, 2)


def test_rename_sets_and_removes_label(run: Run, tmp_path: Path) -> None:
    write_model(tmp_path / "kept", "97c300000000", suffix="hare", person="Hare")
    done = run(*("models", "--rename", "97c3", "Hare in 2023", "--data-dir", "kept"))
    assert done.err == "ft:tiny:local:hare:97c300000000: renamed\n"
    table = run("models", "--data-dir", "kept").out
    assert "    “Hare in 2023”, Hare" in table
    listed = run("models", "--data-dir", "kept", "--json").out
    assert json.loads(listed)["models"][0]["label"] == "Hare in 2023"
    run("models", "--rename", "hare in", "", "--data-dir", "kept")
    assert "2023”" not in run("models", "--data-dir", "kept").out


@pytest.mark.parametrize("is_everything", [False, True])
def test_deletion_needs_consent(
    run: Run, names: Any, tmp_path: Path, *, is_everything: bool
) -> None:
    option = ("--delete-everything",) if is_everything else ("--delete", names[0])
    refused = run("models", *option, "--data-dir", "kept")
    assert (refused.status, "--yes" in refused.err) == (1, True)
    assert count_data(tmp_path / "kept").models == 2
    done = run("models", *option, "--yes", "--data-dir", "kept", "--json")
    names_left = [model["name"] for model in json.loads(done.out)["models"]]
    assert names_left == ([] if is_everything else names[1:])


@pytest.fixture
def stopped(names: Any, tmp_path: Path) -> str:
    """The id of a stopped job in the folder `kept`."""
    assert names
    data = DataDirectory(tmp_path / "kept")
    file = FileStore(data).create(io.BytesIO(b"{}"), filename="x")
    jobs = JobStore(data)
    request = {"model": "tiny", "training_file": file["id"], "metadata": {}}
    job_id: str = jobs.create(request)["id"]
    jobs.log(job_id, "Step 3/20", data={"step": 3, "total_steps": 20})
    jobs.update(job_id, expected=("queued",), status="paused")
    return job_id


def test_jobs_are_listed_below_models(run: Run, names: Any, stopped: str) -> None:
    lines = run("models", "--data-dir", "kept").out.splitlines()
    assert len(lines) == 1 + len(names) + 1
    assert lines[-1].split()[::2][:2] == [stopped, "stopped"]
    assert lines[-1].endswith("step 3 of 20")
    assert len(lines[-1]) <= 80


def test_bases_are_listed_with_memory_and_license(run: Run) -> None:
    done = run("serve", "--list-bases")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    # Notes are below their base.
    rows = done.out.replace("\n    ", "; ").splitlines()[1:]
    assert [row.split()[0] for row in rows] == [base.hub_id for base in list_bases()]
    for row, base in zip(rows, list_bases(), strict=True):
        assert f"{base.memory_bytes / 1e9:.1f} GB" in row
        assert base.license in row
        assert ("suggested" in row) == (base == suggest_base())
    assert "tiny demo model" in rows[0]
