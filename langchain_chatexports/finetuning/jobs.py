"""Find the job of an order on the server, or create exactly one.

An answer that is lost says nothing about whether the request was carried out. So
nothing is sent twice before a look at the server.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.errors import (
    Step,
    has_no_route,
    is_bad_request,
    names_field,
)
from langchain_chatexports.finetuning.files import (
    NOTHING_ORDERED,
    await_processed,
    delete_unused_files,
    find_or_upload,
)
from langchain_chatexports.finetuning.orders import KEY, UNSUCCESSFUL
from langchain_chatexports.finetuning.retries import (
    is_temporary,
    may_be_in_progress,
    status_of,
)

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

    from langchain_chatexports.finetuning.connection import Connection
    from langchain_chatexports.finetuning.orders import TuningOrder
    from langchain_chatexports.finetuning.settings import FineTunerSettings

__all__ = ["Submission", "warn_of_shutdown"]

logger = logging.getLogger(__name__)

_PERHAPS_ORDERED = (
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
_LOOKS_FOR_MODEL = 3
_SHUTDOWN_WARNING_DAYS = 90

_FileIds: TypeAlias = tuple[str, str | None]


@dataclass
class Submission:
    """Finds or creates the job of an order.

    Attributes:
        order: What is ordered.
        connection: The server.
        settings: When to look again, what to delete.
    """

    order: TuningOrder
    connection: Connection
    settings: FineTunerSettings
    _may_be_created: bool = False
    _with_metadata: bool = True
    _old_form: bool = False
    _earlier: set[str] = field(default_factory=set)

    async def place(self) -> FineTuningJob:
        """Find the order's job, or create it.

        Raises:
            FineTuningError: If there is none afterwards.
        """
        job = await self._job_to_resume(await self._jobs_by_key(self.connection))
        if job is not None:
            return job
        uploaded: list[str] = []
        try:
            return await self._upload_and_create(uploaded)
        except FineTuningError as error:
            if self.settings.delete_training_file and not self._may_be_created:
                await delete_unused_files(uploaded, self.connection)
            elif uploaded:
                listed = ", ".join(uploaded)
                text = f"{error.args[0]} Uploaded files that stay there: {listed}."
                error.args = (text,)
            raise

    async def _upload_and_create(self, uploaded: list[str]) -> FineTuningJob:
        connection, expiry = self.connection, self.settings.file_expires_after
        found = []
        for content in self.order.files:
            found.append(await find_or_upload(content, expiry, connection))
            uploaded.append(found[-1][0].id)
        files = (found[0][0].id, found[1][0].id if found[1:] else None)
        if found[0][1]:
            # A job of a server that keeps no metadata can only be known by its files.
            job = await self._job_to_resume(await self._jobs_by_files(files))
            if job is not None:
                return job
        for file, _ in found:
            await await_processed(file, connection)
        model = await self._look_up_model(self.order.model)
        warn_of_shutdown(model, connection.clock.today())
        if connection.deadline.is_over():
            raise connection.timed_out(self._step("preparing the job"))
        return await self._create(files)

    def _step(self, doing: str, **details: Any) -> Step:
        consequence = _PERHAPS_ORDERED if self._may_be_created else NOTHING_ORDERED
        return Step(doing, consequence, **details)

    # Jobs that are there

    async def _jobs_by_key(self, connection: Connection) -> list[FineTuningJob]:
        try:
            # Servers may ignore the filter.
            jobs = await self._jobs(connection, metadata={KEY: self.order.key})
        except FineTuningError as error:
            # Or not know it; then the files are looked at.
            if not is_bad_request(error):
                raise
            return []
        return [job for job in jobs if self.order.is_key_of(job)]

    async def _jobs_by_files(self, files: _FileIds) -> list[FineTuningJob]:
        order = self.order
        jobs = await self._jobs(self.connection)
        return [
            job for job in jobs if order.is_key_of(job) or order.is_like(job, files)
        ]

    async def _jobs(self, connection: Connection, **filters: Any) -> list[Any]:
        step = self._step("looking for the order's job")
        jobs = await connection.list_all("fine_tuning.jobs.list", step, **filters)
        if jobs is None and self._may_be_created:
            msg = (
                f"The answer to creating the job was lost, and {connection.server} has "
                "no list of jobs to look it up. The job may have been created, and may "
                "cost: look in the server's own console before you run this again."
            )
            raise FineTuningError(msg)
        return jobs or []

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
        name, pause = job.fine_tuned_model, self.settings.poll_interval
        if not name or await self._look_up_model(job.model) is None:
            return False
        for _ in range(_LOOKS_FOR_MODEL):
            if await self._look_up_model(name) is not None:
                return False
            if self.connection.deadline.remaining() <= pause:
                return False
            await self.connection.sleep(pause)
        return True

    async def _look_up_model(self, name: str) -> Any:
        # The model, `None` where there is none, the error where it cannot be told.
        step = self._step("looking up the model")
        try:
            return await self.connection.ask("models.retrieve", step, model=name)
        except FineTuningError as error:
            return None if has_no_route(error) else error

    # The new job

    async def _create(self, files: _FileIds) -> FineTuningJob:
        return await self.connection.create_once(
            lambda: self._send(files),
            lambda: self._created(files),
            self._step_after,
            self._patience,
        )

    async def _send(self, files: _FileIds) -> FineTuningJob:
        while True:
            body = self.order.body(
                *files, with_metadata=self._with_metadata, old_form=self._old_form
            )
            try:
                job = await self.connection.call("fine_tuning.jobs.create", **body)
            except Exception as error:
                if self._with_metadata and names_field(error, "metadata"):
                    server = self.connection.server
                    logger.warning("%s takes no metadata: no labels.", server)
                    self._with_metadata = False
                elif (
                    not self._old_form
                    and self.order.method == "supervised"
                    and names_field(error, "method", "hyperparameters")
                ):
                    self._old_form = True
                else:
                    raise
                continue
            for name in self.order.changed_numbers(job):
                logger.warning(
                    "Job %s has another %s than was asked for.", job.id, name
                )
            return await self._the_only_one(job)

    def _step_after(self, problem: Exception) -> Step:
        # 429 is a refusal for certain.
        refused = not is_temporary(problem) or status_of(problem) == 429  # noqa: PLR2004
        self._may_be_created = not refused
        return self._step("creating the job", creates="job")

    def _patience(self, problem: Exception) -> tuple[float, ...]:
        # A list can lag, and what timed out here can still be in work there.
        if not self._may_be_created:
            return ()
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
        try:
            jobs = await self._jobs_by_key(self.connection.briefly(_LAST_LOOK))
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
        step, cancel = self._step("cancelling a second job"), "fine_tuning.jobs.cancel"
        try:
            await self.connection.ask(cancel, step, fine_tuning_job_id=mine.id)
        except FineTuningError:
            logger.warning(_TWO_JOBS, mine.id, oldest.id, mine.id)
        else:
            text = "Job %s was cancelled at once: job %s of the same order was there."
            logger.warning(text, mine.id, oldest.id)
        return oldest


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
