"""Removal of a person or a conversation from sets, indexes and models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from langchain_chatexports.chat_loaders.suggestions import same_names
from langchain_chatexports.datasets import removal
from langchain_chatexports.datasets.removal import ForgetReport, name_search, texts_in
from langchain_chatexports.exceptions import MissingExtraError
from langchain_chatexports.finetuning.training_file import JobUse
from langchain_chatexports.local_server.storage.deletion import delete_kept
from langchain_chatexports.local_server.storage.files import (
    KeptSet,
    examples_of,
    jobs_that_used_set,
    list_sets,
)
from langchain_chatexports.local_server.storage.jobs import JobEndedError, list_jobs
from langchain_chatexports.local_server.storage.models import list_models
from langchain_chatexports.retrieval import index_files

Reason: TypeAlias = Literal["voice", "set", "text"]


@dataclass(frozen=True)
class KnownBy:
    """A model, training or examples with a person's messages or name."""

    id: str
    """The model's name, or the id of the job or examples, for its deletion."""

    kind: Literal["model", "training", "examples"]
    """The kind; a model includes its training and examples."""

    title: str
    """Its title; empty for examples."""

    reason: Reason
    """It learned the person's voice, was trained on the set, or its examples name
    them."""


@dataclass(frozen=True)
class Forgotten:
    """The result of a removal."""

    report: ForgetReport | None
    """The rows removed from the set; `None` without a set."""

    jobs: list[JobUse]
    """The fine-tuning jobs of this machine that used the set."""

    known_by: list[KnownBy]
    """The models, trainings and examples of this machine that know the person."""

    indexes: list[Path]
    """The deleted search indexes."""


def forget(
    path: Path | None,
    *,
    people: Sequence[str] = (),
    conversations: Sequence[str] = (),
    mentions: bool = False,
    key: Path | None = None,
    data_dir: str | Path | None = None,
    index_dir: Path | None = None,
) -> Forgotten:
    """Remove people or conversations from a set, and delete indexes that have them.

    Models, trainings and examples that know them are only listed; `delete_known`
    deletes them.

    Args:
        path: A set with its trace beside it; `None` for search indexes only.
        people: Names or handles.
        conversations: Ids of conversations.
        mentions: Whether to remove texts that mention the names, too.
        key: The key file of a set in which names were replaced.
        data_dir: The directory of models, jobs and examples.
        index_dir: The directory of search indexes; `None` for the default.

    Raises:
        SenderNotFoundError: If a name is not in the set; without a set, if neither an
            index nor a model has it.
    """
    report = None
    jobs: list[JobUse] = []
    if path is not None:
        report = removal.forget(
            path, people=people, conversations=conversations, mentions=mentions, key=key
        )
        jobs = jobs_that_used_set(report.hashes, data_dir)
    known = list(_known_by(people, {job.id for job in jobs}, data_dir))
    deleted = index_files.delete_indexes_with(
        index_dir, people, conversations, strict=report is None and not known
    )
    return Forgotten(report, jobs, known, deleted)


def delete_known(
    known_by: Iterable[KnownBy], data_dir: str | Path | None = None
) -> list[KnownBy]:
    """Delete models, trainings and examples, and return those that still existed."""
    deleted = []
    for one in known_by:
        try:
            delete_kept(one.id, data_dir=data_dir)
        except JobEndedError:
            continue
        deleted.append(one)
    return deleted


def _known_by(
    people: Collection[str], used: Collection[str], data_dir: str | Path | None
) -> Iterator[KnownBy]:
    try:
        models, jobs = list_models(data_dir), list_jobs(data_dir)
        sets = list_sets(data_dir)
    except MissingExtraError:
        return  # There is no training without the extra.
    naming = [one for one in sets if _names(one, people, data_dir)]
    named = {job_id for one in naming for job_id in one.job_ids}
    persons = {model.person for model in models} | {job.person for job in jobs}
    known = [person for person in persons if person]
    voices = {same for name in people for same in same_names(name, known)}

    def reason(person: str | None, job_id: str) -> Reason | None:
        if person in voices:
            return "voice"
        if job_id in used:
            return "set"
        return "text" if job_id in named else None

    for model in models:
        if why := reason(model.person, model.job_id):
            yield KnownBy(model.name, "model", model.title, why)
    made = {model.job_id for model in models}
    for job in (job for job in jobs if job.id not in made):
        if why := reason(job.person, job.id):
            yield KnownBy(job.id, "training", job.person or job.base_model, why)
    unused = (one for one in naming if not one.job_ids)
    yield from (KnownBy(one.id, "examples", "", "text") for one in unused)


def _names(one: KeptSet, people: Collection[str], data_dir: str | Path | None) -> bool:
    searches = [name_search(name) for name in people if name.strip()]
    return any(
        search(text)
        for example in examples_of(one, data_dir)
        for text in texts_in(example)
        for search in searches
    )
