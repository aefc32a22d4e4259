"""`chatexports forget`."""

from pathlib import Path

from langchain_chatexports.datasets.card import hash_files
from langchain_chatexports.datasets.trace_file import read_trace
from langchain_chatexports.finetuning.settings import DATA_KEY
from langchain_chatexports.local_server import Workspace
from tests.unit_tests.builders.workspaces import add_job
from tests.unit_tests.cli.conftest import Run


def test_forget_removes_person_and_job(run: Run, tmp_path: Path, threads: Path) -> None:
    run("prepare", threads, "--format", "openai", "-o", "set.jsonl")
    digest = hash_files([tmp_path / "set.jsonl"])
    workspace = Workspace(tmp_path / "data")
    metadata = {DATA_KEY: digest}
    job_id = add_job(workspace, base_model="base", metadata=metadata).id
    workspace.jobs.pause(job_id)
    before = list(read_trace(tmp_path / "set.jsonl"))
    done = run(
        "forget", "set.jsonl", "--person", "hermione granger", "--data-dir", "data"
    )
    assert done.status == 0, done.err
    after = list(read_trace(tmp_path / "set.jsonl"))
    assert 0 < len(after) < len(before)
    assert all("Hermione Granger" not in row.origin.senders for row in after)
    assert f"{job_id} (base): was trained on this set" in done.err
    assert "--yes" in done.err
    again = ("forget", "set.jsonl", "--person", "ghost", "--data-dir", "data", "--yes")
    assert f"Deleted {job_id}" in run(*again).err
    assert workspace.jobs.find(job_id) is None
