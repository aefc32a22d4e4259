"""Which fine-tuning jobs of a server were given a version of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_chatexports.finetuning.orders import uploaded_name
from langchain_chatexports.finetuning.settings import DATA_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from openai import OpenAI

__all__ = ["JobUse", "find_jobs", "jobs_that_used"]

_PAGE = 100


@dataclass(frozen=True)
class JobUse:
    """A fine-tuning job that was given a version of a set."""

    id: str
    status: str
    base_model: str
    tuned_model: str | None
    """The model that the job made: what is left to delete."""

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON types."""
        return dict(vars(self))


def find_jobs(client: OpenAI, hashes: Collection[str]) -> list[JobUse]:
    """Find the jobs on a server that were given one of these files.

    Args:
        client: A client of the server.
        hashes: SHA-256 of files, as a `ForgetReport` names them.

    Returns:
        The jobs, in the server's order.
    """
    jobs = client.fine_tuning.jobs.list(limit=_PAGE)
    files = {file.id: file.filename for file in client.files.list(purpose="fine-tune")}
    return jobs_that_used(hashes, (job.to_dict() for job in jobs), files)


def jobs_that_used(
    hashes: Collection[str],
    jobs: Iterable[Mapping[str, Any]],
    files: Mapping[str, str],
) -> list[JobUse]:
    """Find among jobs those that were given one of these files.

    Args:
        hashes: SHA-256 of files.
        jobs: Jobs as the protocol gives them.
        files: Names of uploaded files, by id; deleted ones are missed only where the
            job does not name the hash itself.

    Returns:
        The jobs, in the order given.
    """
    names = {uploaded_name(digest) for digest in hashes}
    found = []
    for job in jobs:
        told = (job.get("metadata") or {}).get(DATA_KEY)
        given = (job.get("training_file"), job.get("validation_file"))
        uploaded = {files.get(str(file_id)) for file_id in given}
        if told in hashes or uploaded & names:
            use = JobUse(
                id=job["id"],
                status=str(job.get("status")),
                base_model=str(job.get("model")),
                tuned_model=job.get("fine_tuned_model"),
            )
            found.append(use)
    return found
