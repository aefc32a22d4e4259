"""Remove people and conversations from sets, indexes and models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from langchain_chatexports._temporary import delete_leftovers
from langchain_chatexports.chat_loaders.names import NameIndex
from langchain_chatexports.datasets import removal
from langchain_chatexports.datasets.removal import (
    ForgetReport,
    iter_texts,
    name_matcher,
)
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.finetuning.settings import DATA_KEY
from langchain_chatexports.local_server import (
    ExampleFile,
    Job,
    NotFoundError,
    Workspace,
    file_id_of,
)
from langchain_chatexports.retrieval import index_files
from langchain_chatexports.workflows.corrections import delete_person_corrections
from langchain_chatexports.workflows.saved_talks import delete_person_talks

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

    talks: int = 0
    """The number of deleted talks with the people, without a model."""

    corrections: int = 0
    """The number of deleted corrections of the people, without a model."""


def forget(
    path: Path | None,
    *,
    people: Sequence[str] = (),
    conversations: Sequence[str] = (),
    workspace: Workspace | None = None,
    index_dir: Path | None = None,
) -> ForgetResult:
    """Remove people or conversations from a set and delete their search indexes.

    Their models, jobs and examples are only listed; `delete_remaining` deletes them.

    Args:
        path: A set with its trace next to it; `None` to delete only search indexes.
        people: Names or handles.
        conversations: Ids of conversations.
        workspace: The models, jobs and examples; `None` for those of the user.
        index_dir: The directory of search indexes; `None` for the default.

    Raises:
        SenderNotFoundError: If a name is not in the set; without a set, if it is
            neither in an index nor in a model.
    """
    delete_leftovers()
    report = None
    hashes: Collection[str] = ()
    if path is not None:
        report = removal.forget(path, people=people, conversations=conversations)
        hashes = report.hashes
    remaining = [*_find_remaining(people, hashes, workspace)]
    talks = delete_person_talks(index_dir, people)
    corrections = delete_person_corrections(index_dir, people)
    is_known = report is not None or remaining or talks or corrections
    deleted = index_files.delete_matching_indexes(
        index_dir, people, conversations, strict=not is_known
    )
    return ForgetResult(report, remaining, deleted, talks, corrections)


def delete_remaining(
    remaining: Iterable[RemainingCopy], workspace: Workspace | None = None
) -> list[RemainingCopy]:
    """Delete models, jobs and examples; return those that still existed."""
    workspace = workspace or Workspace()
    deleted = []
    for copy in remaining:
        with suppress(NotFoundError):
            workspace.delete(copy.id)
            deleted.append(copy)
    return deleted


def _find_remaining(
    people: Collection[str], hashes: Collection[str], workspace: Workspace | None
) -> Iterator[RemainingCopy]:
    try:
        workspace = workspace or Workspace()
    except MissingExtraError:
        return  # Without the extra, there are no jobs.
    stored = workspace.snapshot()
    sets = {file_id_of(digest) for digest in hashes}
    named = {
        file.id for file in stored.files if _contains_name(workspace, file, people)
    }
    index = NameIndex.of(job.person for job in stored.jobs if job.person)
    matching_people = {match for name in people for match in index.find_spellings(name)}

    def find_reason(job: Job) -> Reason | None:
        files = {job.training_file, job.validation_file}
        if job.person in matching_people:
            return "person"
        if files & sets or job.metadata.get(DATA_KEY) in hashes:
            return "set"
        return "text" if files & named else None

    models = {model.job_id: model for model in stored.models}
    for job in sorted(stored.jobs, key=lambda job: job.id not in models):
        if (reason := find_reason(job)) is None:
            continue
        if model := models.get(job.id):
            yield RemainingCopy(model.name, "model", model.title, reason)
        else:
            title = job.person or job.base_model
            yield RemainingCopy(job.id, "training", title, reason)
    for file in stored.files:
        if file.id in named and not stored.jobs_of(file):
            yield RemainingCopy(file.id, "examples", "", "text")


def _contains_name(
    workspace: Workspace, file: ExampleFile, people: Collection[str]
) -> bool:
    matchers = [name_matcher(name) for name in people if name.strip()]
    return any(
        matches(text)
        for example in workspace.files.read(file.id)
        for text in iter_texts(example)
        for matches in matchers
    )
