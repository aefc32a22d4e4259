"""Upload the files of an order, and find its job on the server or create exactly one.

An answer that is lost says nothing about whether the request was carried out. So
nothing is sent twice before a look at the server.
"""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.errors import (
    BAD_REQUEST,
    NO_ROUTE,
    Situation,
    is_temporary,
    may_be_in_progress,
    names_field,
    status_of,
)
from langchain_chatexports.finetuning.orders import (
    ENDED,
    UNSUCCESSFUL,
    is_uploaded_name,
)
from langchain_chatexports.finetuning.settings import KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob

    from langchain_chatexports.finetuning.connection import Connection
    from langchain_chatexports.finetuning.orders import TrainingFile, TuningOrder

__all__ = [
    "Submission",
    "delete",
    "delete_files",
    "warn_of_shutdown",
]

logger = logging.getLogger(__name__)

_CREATE = "fine_tuning.jobs.create"
_PERHAPS_ORDERED = Situation(
    "The job may have been created, and may cost: run the same call again, which finds "
    "it if it is there."
)
_TWO_JOBS = (
    "Job %s is of the same order as job %s, and may cost: get(%r).cancel() stops it."
)
_UNKNOWN_SUFFIX = (
    "Job %s trains the same files, but %s names neither its order nor its suffix. It "
    "is left alone, and a new job is ordered: get(%r) takes it up instead."
)

# Seconds between the looks for a job whose creation was not answered: where it was cut
# off, and where the server may still be creating it.
_PATIENCE: tuple[float, ...] = (2.0, 4.0)
_LONG_PATIENCE: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0, 30.0)
_LAST_LOOK = 5.0

# Of files. Servers that say that they process them (Azure) refuse jobs until then.
_IN_WORK = ("uploaded", "pending", "processing", "running")
_BAD = ("error", "failed", "deleted", "deleting")
_MAX_WAIT = 30.0
_MAX_WAIT_IN_WORK = 600.0
_FIRST_INTERVAL = 1.0
_MAX_INTERVAL = 5.0
_LARGE = 10_000_000
_MIN_BYTES_A_SECOND = 250_000

_SHUTDOWN_WARNING_DAYS = 90

_FileIds: TypeAlias = tuple[str, str | None]


@dataclass
class Submission:
    """Finds or creates the job of an order."""

    order: TuningOrder
    connection: Connection
    _with_metadata: bool = True
    _old_form: bool = False
    _earlier: set[str] = field(default_factory=set)
    _file_ids: list[str] = field(default_factory=list)

    async def place(self) -> FineTuningJob:
        """Find the order's job, or create it.

        Raises:
            FineTuningError: If there is none afterwards.
        """
        job = await self._job_to_resume(await self._jobs_by_key(self.connection))
        if job is not None:
            return job
        try:
            return await self._upload_and_create()
        except FineTuningError as error:
            if self.order.settings.delete_training_file and not self._may_be_created:
                await delete_files(self._file_ids, self.connection)
            elif self._file_ids:
                listed = ", ".join(self._file_ids)
                text = f"{error.args[0]} Uploaded files that stay there: {listed}."
                error.args = (text,)
            raise

    async def _upload_and_create(self) -> FineTuningJob:
        connection = self.connection
        files, is_new = [], True
        for content in self.order.files:
            found = await self._find_file(content)
            is_new = is_new and found is None
            files.append(found or await self._upload(content))
            self._file_ids.append(files[-1].id)
        ids = (files[0].id, files[1].id if files[1:] else None)
        if not is_new:
            # A job of a server that keeps no metadata can only be known by its files.
            job = await self._job_to_resume(await self._jobs_by_files(ids))
            if job is not None:
                return job
        for file in files:
            await _await_processed(file, connection)
        model = await self._look_up_model(self.order.settings.model)
        warn_of_shutdown(model, connection.clock.today())
        if connection.deadline.remaining() <= 0:
            raise connection.timed_out(_CREATE)
        return await connection.persist(
            _CREATE,
            lambda: self._create(ids),
            lambda: self._created(ids),
            self._pauses_after,
        )

    # The files

    async def _find_file(self, content: TrainingFile) -> FileObject | None:
        for found in await _list_files(self.connection):
            if (
                found.filename == content.name
                and found.bytes in (None, len(content.data))
                and found.status not in _BAD
                # It could expire before the job has read it.
                and (self.order.settings.file_expires_after or not found.expires_at)
            ):
                return found
        return None

    async def _upload(self, content: TrainingFile) -> FileObject:
        connection, expiry = self.connection, self.order.settings.file_expires_after
        arguments: dict[str, Any] = {"purpose": "fine-tune"}
        if expiry is not None:
            arguments["expires_after"] = {"anchor": "created_at", "seconds": expiry}
        if len(content.data) > _LARGE:
            # What a server does with a file takes its time before the first byte.
            arguments["timeout"] = len(content.data) / _MIN_BYTES_A_SECOND

        async def send() -> Any:
            # Not the bytes: openai 2 logs arguments when it debugs.
            file = (content.name, io.BytesIO(content.data), "application/jsonl")
            return await connection.call("files.create", file=file, **arguments)

        sent: FileObject = await connection.persist(
            "files.create", send, lambda: self._find_file(content)
        )
        if expiry is not None and not sent.expires_at:
            text = "%s does not say that it deletes the file %s by itself."
            logger.warning(text, connection.server, sent.id)
        return sent

    # Jobs that are there

    @property
    def _may_be_created(self) -> bool:
        return self.connection.situation is _PERHAPS_ORDERED

    async def _jobs_by_key(self, connection: Connection) -> list[FineTuningJob]:
        # Servers may ignore the filter, or refuse it: then the files are looked at.
        jobs = await connection.list_all(
            "fine_tuning.jobs.list",
            missing=NO_ROUTE | BAD_REQUEST,
            metadata={KEY: self.order.key},
        )
        return [job for job in jobs or () if self.order.is_key_of(job)]

    async def _jobs_by_files(self, files: _FileIds) -> list[FineTuningJob]:
        order = self.order
        jobs = await self.connection.list_all("fine_tuning.jobs.list")
        if jobs is None and self._may_be_created:
            msg = (
                f"The answer to creating the job was lost, and {self.connection.server}"
                " has no list of jobs to look it up. The job may have been created, "
                "and may cost: look in the server's own console before you run this "
                "again."
            )
            raise FineTuningError(msg)
        return [
            job
            for job in jobs or ()
            if order.is_key_of(job) or order.is_like(job, files)
        ]

    async def _job_to_resume(self, jobs: list[FineTuningJob]) -> FineTuningJob | None:
        # Of these it is known, later, that they are not the one created here.
        self._earlier.update(job.id for job in jobs)
        for job in jobs if not self.order.nonce else ():
            if str(job.status) in UNSUCCESSFUL:
                continue
            if not self.order.is_suffix_of(job):
                server = self.connection.server
                logger.warning(_UNKNOWN_SUFFIX, job.id, server, job.id)
                continue
            if job.status == "succeeded" and await self._has_lost_its_model(job):
                continue
            logger.info("Found the order's job %s; no new one is created.", job.id)
            return job
        return None

    async def _has_lost_its_model(self, job: FineTuningJob) -> bool:
        # Only if the server knows models at all, and keeps saying so: a new model may
        # need a moment.
        name, pause = job.fine_tuned_model, self.order.settings.poll_interval
        if not name or await self._look_up_model(job.model) is None:
            return False
        model = await self.connection.look(
            lambda: self._look_up_model(name), (0, pause, pause), "models.retrieve"
        )
        return model is None

    async def _look_up_model(self, name: str) -> Any:
        # The model, `None` where there is none, the error where it cannot be told.
        try:
            return await self.connection.ask(
                "models.retrieve", missing=NO_ROUTE, model=name
            )
        except FineTuningError as error:
            return error

    # The new job

    async def _create(self, files: _FileIds) -> FineTuningJob:
        while True:
            body = self.order.body(
                *files, with_metadata=self._with_metadata, old_form=self._old_form
            )
            try:
                job = await self.connection.call(_CREATE, **body)
            except Exception as error:
                if not self._can_do_without(error):
                    raise
                continue
            for name in self.order.changed_numbers(job):
                text = "Job %s has another %s than was asked for."
                logger.warning(text, job.id, name)
            return await self._the_only_one(job)

    def _can_do_without(self, refusal: Exception) -> bool:
        if self._with_metadata and names_field(refusal, "metadata"):
            self._with_metadata = False
            logger.warning("%s takes no metadata: no labels.", self.connection.server)
            return True
        is_new_form = not self._old_form and self.order.settings.method == "supervised"
        if is_new_form and names_field(refusal, "method", "hyperparameters"):
            self._old_form = True
            return True
        return False

    def _pauses_after(self, problem: Exception) -> tuple[float, ...]:
        # 429 is a refusal for certain.
        if not is_temporary(problem) or status_of(problem) == 429:  # noqa: PLR2004
            self.connection.situation = Situation()
            return ()
        # A list can lag, and what timed out here can still be in work there.
        self.connection.situation = _PERHAPS_ORDERED
        return _LONG_PATIENCE if may_be_in_progress(problem) else _PATIENCE

    async def _created(self, files: _FileIds) -> FineTuningJob | None:
        # In whatever state: one that has failed since then is still the order's job.
        jobs = await self._jobs_by_key(self.connection)
        if all(job.id in self._earlier for job in jobs):
            jobs = await self._jobs_by_files(files)
        return next((job for job in jobs if job.id not in self._earlier), None)

    async def _the_only_one(self, mine: FineTuningJob) -> FineTuningJob:
        # Another process can have placed the same order at the same moment. Both find
        # both jobs here: the older one stays, whoever created the other stops it.
        connection = self.connection
        brief = replace(connection, deadline=connection.deadline.within(_LAST_LOOK))
        try:
            jobs = await self._jobs_by_key(brief)
        except FineTuningError:
            return mine
        others = [
            job
            for job in jobs
            if job.id not in {*self._earlier, mine.id}
            and str(job.status) not in UNSUCCESSFUL
        ]
        oldest = min([mine, *others], key=_age)
        if oldest is mine:
            for job in others:
                logger.warning(_TWO_JOBS, job.id, mine.id, job.id)
            return mine
        try:
            await connection.ask("fine_tuning.jobs.cancel", fine_tuning_job_id=mine.id)
        except FineTuningError:
            logger.warning(_TWO_JOBS, mine.id, oldest.id, mine.id)
        else:
            text = "Job %s was cancelled at once: job %s of the same order was there."
            logger.warning(text, mine.id, oldest.id)
        return oldest


async def _await_processed(file: FileObject, connection: Connection) -> None:
    # The job itself waits for its file where that takes longer.
    limit = _MAX_WAIT if file.status == "uploaded" else _MAX_WAIT_IN_WORK
    if connection.deadline.seconds is not None:
        limit = min(limit, connection.deadline.seconds / 3)
    patience, interval = connection.deadline.within(limit), _FIRST_INTERVAL
    # The field is deprecated: a missing or unknown one says nothing.
    while file.status in _IN_WORK and patience.remaining() > interval:
        await connection.sleep(interval)
        interval = min(interval * 1.5, _MAX_INTERVAL)
        found = await connection.ask(
            "files.retrieve", missing=NO_ROUTE, file_id=file.id
        )
        if found is None:
            return
        file = found
    if file.status in _BAD:
        said = connection.clean(file.status_details)
        text = (
            f"{connection.server} could not use the uploaded file {file.id}"
            f"{': ' + said if said else ''}. Check the examples, and run again."
        )
        raise connection.situation.error(FileProcessingError, text)


async def delete_files(
    file_ids: Collection[str],
    connection: Connection,
    job_id: str | None = None,
    *,
    strictly: bool = False,
) -> None:
    """Delete uploaded files and their copies, and warn of those that stay.

    What another job than `job_id` needs, stays. `strictly`, the files themselves go in
    any case, or it is an error. Copies are there where the answer to an upload comes
    too late to be waited for, or two processes upload at the same time.
    """
    jobs: list[Any] = []
    listed: list[FileObject] = []
    with suppress(FineTuningError):
        jobs = await connection.list_all("fine_tuning.jobs.list") or []
        listed = await _list_files(connection)
    ours = {str(file.filename) for file in listed if file.id in file_ids}
    ours = {name for name in ours if is_uploaded_name(name)}
    copies = [file.id for file in listed if str(file.filename) in ours]
    needed = {
        file_id
        for job in jobs
        if job.id != job_id and str(job.status) not in ENDED
        for file_id in (str(job.training_file), str(job.validation_file))
    }
    for file_id in dict.fromkeys((*file_ids, *copies)):
        must_go = strictly and file_id in file_ids
        if file_id in needed and not must_go:
            logger.warning("The training file %s stays: another job uses it.", file_id)
            continue
        try:
            await delete("files", connection, file_id=file_id)
        except FineTuningError:
            if must_go:
                raise
            text = "The training file %s could not be deleted and is still at %s."
            logger.warning(text, file_id, connection.server)


async def delete(
    kind: Literal["files", "models"], connection: Connection, /, **name: Any
) -> None:
    """Delete a file or a model by `file_id` or `model`; one that is gone is no error.

    Raises:
        FineTuningError: If it is still there.
    """
    try:
        await connection.ask(f"{kind}.delete", **name)
    except FineTuningError as error:
        # It is gone, or the server cannot delete: only a look can tell.
        if status_of(error) not in NO_ROUTE or await connection.ask(
            f"{kind}.retrieve", missing=NO_ROUTE, **name
        ):
            raise


async def _list_files(connection: Connection) -> list[FileObject]:
    return await connection.list_all("files.list", purpose="fine-tune") or []


def warn_of_shutdown(model: Any, today: date) -> None:
    """Warn if the server says that a model, if there is one, ends soon."""
    ends = getattr(model, "shutdown_date", None)
    try:
        days = (date.fromisoformat(ends) - today).days  # type: ignore[arg-type] # whatever the server sent
    except (TypeError, ValueError):
        return
    if days <= _SHUTDOWN_WARNING_DAYS:
        warnings.warn(
            f"The server shuts the model {model.id} down on {ends}, and what is tuned "
            "from it with it.",
            stacklevel=2,
        )


def _age(job: Any) -> tuple[float, str]:
    created = job.created_at
    return (created if isinstance(created, (int, float)) else float("inf"), job.id)
