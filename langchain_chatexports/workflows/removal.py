"""Remove people and conversations from sets, indexes and models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.datasets import removal
from langchain_chatexports.datasets.removal import (
    ForgetReport,
    iter_texts,
    name_matcher,
)
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.local_server.storage.deletion import delete_data
from langchain_chatexports.local_server.storage.files import (
    ExampleFile,
    find_job_ids,
    list_example_files,
    read_uploaded_examples,
)
from langchain_chatexports.local_server.storage.jobs import JobNotActiveError, list_jobs
from langchain_chatexports.local_server.storage.models import list_models
from langchain_chatexports.retrieval import index_files

Reason: TypeAlias = Literal["person", "set", "text"]


@dataclass(frozen=True)
class RemainingCopy:
    """A model, job or file of examples with a person's messages or name."""

    id: str
    """The model's name, or the id of the job or examples; `delete` accepts it."""

    kind: Literal["model", "training", "examples"]
    """A model includes its job and examples."""

    title: str
    """Its title; empty for examples."""

    reason: Reason
    """It imitates the person, was trained on the set, or its examples contain the
    name."""


@dataclass(frozen=True)
class ForgetResult:
    """The result of a removal."""

    report: ForgetReport | None
    """The rows removed from the set; `None` without a set."""

    remaining: list[RemainingCopy]
    """The person's models, jobs and examples on this machine."""

    indexes: list[Path]
    """The deleted search indexes."""


def forget(
    path: Path | None,
    *,
    people: Sequence[str] = (),
    conversations: Sequence[str] = (),
    data_dir: str | Path | None = None,
    index_dir: Path | None = None,
) -> ForgetResult:
    """Remove people or conversations from a set and delete their search indexes.

    Their models, jobs and examples are only listed; `delete_remaining` deletes them.

    Args:
        path: A set with its trace next to it; `None` to delete only search indexes.
        people: Names or handles.
        conversations: Ids of conversations.
        data_dir: The directory of models, jobs and examples.
        index_dir: The directory of search indexes; `None` for the default.

    Raises:
        SenderNotFoundError: If a name is not in the set; without a set, if it is
            neither in an index nor in a model.
    """
    report = None
    job_ids: set[str] = set()
    if path is not None:
        report = removal.forget(path, people=people, conversations=conversations)
        job_ids = find_job_ids(report.hashes, data_dir)
    remaining = list(_find_remaining(people, job_ids, data_dir))
    deleted = index_files.delete_matching_indexes(
        index_dir, people, conversations, strict=report is None and not remaining
    )
    return ForgetResult(report, remaining, deleted)


def delete_remaining(
    remaining: Iterable[RemainingCopy], data_dir: str | Path | None = None
) -> list[RemainingCopy]:
    """Delete models, jobs and examples; return those that still existed."""
    deleted = []
    for copy in remaining:
        try:
            delete_data(copy.id, data_dir=data_dir)
        except JobNotActiveError:
            continue
        deleted.append(copy)
    return deleted


def _find_remaining(
    people: Collection[str], job_ids: Collection[str], data_dir: str | Path | None
) -> Iterator[RemainingCopy]:
    try:
        models, jobs = list_models(data_dir), list_jobs(data_dir)
        sets = list_example_files(data_dir)
    except MissingExtraError:
        return  # Without the extra, there are no jobs.
    sets = [file for file in sets if _contains_name(file, people, data_dir)]
    set_job_ids = {job_id for file in sets for job_id in file.job_ids}
    stored_people = {model.person for model in models} | {job.person for job in jobs}
    index = NameIndex.of(person for person in stored_people if person)
    matching_people = {match for name in people for match in index.find_spellings(name)}

    def find_reason(person: str | None, job_id: str) -> Reason | None:
        if person in matching_people:
            return "person"
        if job_id in job_ids:
            return "set"
        return "text" if job_id in set_job_ids else None

    for model in models:
        if reason := find_reason(model.person, model.job_id):
            yield RemainingCopy(model.name, "model", model.title, reason)
    finished_ids = {model.job_id for model in models}
    for job in (job for job in jobs if job.id not in finished_ids):
        if reason := find_reason(job.person, job.id):
            title = job.person or job.base_model
            yield RemainingCopy(job.id, "training", title, reason)
    unused_files = (file for file in sets if not file.job_ids)
    yield from (RemainingCopy(file.id, "examples", "", "text") for file in unused_files)


def _contains_name(
    examples: ExampleFile, people: Collection[str], data_dir: str | Path | None
) -> bool:
    matchers = [name_matcher(name) for name in people if name.strip()]
    return any(
        matches(text)
        for example in read_uploaded_examples(examples, data_dir)
        for text in iter_texts(example)
        for matches in matchers
    )
