"""From an order to its one job: look, upload, look again, create, look again.

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
from langchain_chatexports.finetuning.clock import Deadline
from langchain_chatexports.finetuning.errors import (
    Situation,
    error_of,
    has_no_route,
    is_bad_request,
    is_temporary,
    may_be_in_progress,
    names_field,
    status_of,
)
from langchain_chatexports.finetuning.files import (
    await_processed,
    delete_unused_files,
    find_or_upload,
)
from langchain_chatexports.finetuning.orders import KEY, UNSUCCESSFUL
from langchain_chatexports.finetuning.requests import (
    Requests,
    Sleep,
    ask,
    ask_once,
    list_all,
    pause_before_retry,
)

if TYPE_CHECKING:
    from langchain_chatexports.finetuning.orders import TuningOrder

__all__ = ["Submission", "warn_of_shutdown"]

logger = logging.getLogger(__name__)

_NOTHING_ORDERED = "Nothing was ordered, so nothing costs."
_PERHAPS_ORDERED = (
    "The job may have been created, and may cost: run the same call again, which finds "
    "it if it is there."
)
_TWO_JOBS = (
    "Job %s is of the same order as job %s, and may cost: get(%r).cancel() stops it."
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
    """One order on its way to one job.

    Attributes:
        order: What is ordered.
        situation: The server, the deadline, and what to scrub from errors.
        poll_interval: Seconds between looks at something that is not ready.
        delete_training_file: Delete what was uploaded if no job comes of it.
        file_expires_after: Seconds after which the server deletes the files by itself.
    """

    order: TuningOrder
    situation: Situation
    poll_interval: float = 2.0
    delete_training_file: bool = False
    file_expires_after: int | None = None
    _may_be_created: bool = False
    _earlier: set[str] = field(default_factory=set)

    def place(self) -> Requests[Any]:
        """Find the order's job, or create it.

        Returns:
            The SDK's job.

        Raises:
            FineTuningError: If there is none afterwards.
        """
        job = yield from self._job_to_resume((yield from self._jobs_by_key()))
        if job is not None:
            return job
        uploaded: list[str] = []
        try:
            return (yield from self._upload_and_create(uploaded))
        except FineTuningError as error:
            if self.delete_training_file and not self._may_be_created:
                yield from delete_unused_files(uploaded, self._while(""))
            elif uploaded:
                listed = ", ".join(uploaded)
                text = f"{error.args[0]} Uploaded files that stay there: {listed}."
                error.args = (text,)
            raise

    def _upload_and_create(self, uploaded: list[str]) -> Requests[Any]:
        situation = self._while("preparing the job")
        found = []
        for content in self.order.files:
            file, was_there = yield from find_or_upload(
                content, self.file_expires_after, situation
            )
            uploaded.append(file.id)
            found.append((file, was_there))
        files = (found[0][0].id, found[1][0].id if found[1:] else None)
        if found[0][1]:
            # A job of a server that keeps no metadata can only be known by its files.
            job = yield from self._job_to_resume(
                (yield from self._jobs_by_files(files))
            )
            if job is not None:
                return job
        for file, _ in found:
            yield from await_processed(file, situation)
        model = yield from self._look_up_model(self.order.model)
        warn_of_shutdown(model, situation.deadline.clock.today())
        if situation.deadline.is_over():
            raise situation.timed_out()
        return (yield from self._create(files))

    def _while(self, doing: str, **changes: Any) -> Situation:
        consequence = _PERHAPS_ORDERED if self._may_be_created else _NOTHING_ORDERED
        return self.situation.with_(doing=doing, consequence=consequence, **changes)

    # Jobs that are there

    def _jobs_by_key(self, deadline: Deadline | None = None) -> Requests[list[Any]]:
        try:
            # Servers may ignore the filter.
            jobs = yield from self._jobs(deadline, metadata={KEY: self.order.key})
        except FineTuningError as error:
            # Or not know it; then the files are looked at.
            if not is_bad_request(error):
                raise
            return []
        return [job for job in jobs if self.order.is_key_of(job)]

    def _jobs_by_files(self, files: _FileIds) -> Requests[list[Any]]:
        order = self.order
        jobs = yield from self._jobs()
        return [
            job for job in jobs if order.is_key_of(job) or order.is_like(job, files)
        ]

    def _jobs(
        self, deadline: Deadline | None = None, **filters: Any
    ) -> Requests[list[Any]]:
        situation = self._while("looking for the order's job")
        if deadline is not None:
            situation = situation.with_(deadline=deadline)
        jobs = yield from list_all("fine_tuning.jobs.list", situation, **filters)
        if jobs is None and self._may_be_created:
            msg = (
                f"The answer to creating the job was lost, and {situation.server} has "
                "no list of jobs to look it up. The job may have been created, and may "
                "cost: look in the server's own console before you run this again."
            )
            raise FineTuningError(msg)
        return jobs or []

    def _job_to_resume(self, jobs: list[Any]) -> Requests[Any]:
        # Of the others it is known, later, that they are not the one created here.
        self._earlier.update(job.id for job in jobs)
        for job in jobs if not self.order.nonce else ():
            if str(job.status) in UNSUCCESSFUL:
                continue
            if job.status == "succeeded" and (yield from self._has_lost_its_model(job)):
                continue
            logger.info("Found the order's job %s; no new one is created.", job.id)
            return job
        return None

    def _has_lost_its_model(self, job: Any) -> Requests[bool]:
        # Only if the server knows models at all, and keeps saying so: a new model may
        # need a moment.
        name = job.fine_tuned_model
        if not name or (yield from self._look_up_model(job.model)) is None:
            return False
        for _ in range(_LOOKS_FOR_MODEL):
            if (yield from self._look_up_model(name)) is not None:
                return False
            if self.situation.deadline.remaining() <= self.poll_interval:
                return False
            yield Sleep(self.poll_interval)
        return True

    def _look_up_model(self, name: str) -> Requests[Any]:
        # The model, `None` where there is none, the error where it cannot be told.
        situation = self._while("looking up the model")
        try:
            return (yield from ask("models.retrieve", situation, model=name))
        except FineTuningError as error:
            return None if has_no_route(error) else error

    # The new job

    def _create(self, files: _FileIds) -> Requests[Any]:
        forms = {"with_metadata": True, "old_form": False}
        attempt = 0
        while True:
            body = self.order.body(files[0], files[1], **forms)
            try:
                job = yield from ask_once("fine_tuning.jobs.create", **body)
            except Exception as error:  # noqa: BLE001 - sorted below
                problem = error
            else:
                for name in self.order.changed_numbers(job):
                    logger.warning(
                        "Job %s has another %s than was asked for.", job.id, name
                    )
                return (yield from self._the_only_one(job))
            if forms["with_metadata"] and names_field(problem, "metadata"):
                server = self.situation.server
                logger.warning("%s takes no metadata: no labels.", server)
                forms["with_metadata"] = False
                continue
            if (
                not forms["old_form"]
                and self.order.method == "supervised"
                and names_field(problem, "method", "hyperparameters")
            ):
                forms["old_form"] = True
                continue
            attempt += 1
            job = yield from self._look_before_retry(problem, attempt, files)
            if job is not None:
                return job

    def _look_before_retry(
        self, problem: Exception, attempt: int, files: _FileIds
    ) -> Requests[Any]:
        temporary = is_temporary(problem)
        # 429 is a refusal for certain.
        self._may_be_created = temporary and status_of(problem) != 429  # noqa: PLR2004
        situation = self._while("creating the job", creates_job=True)
        if not temporary:
            raise error_of(problem, situation)
        refusal: FineTuningError | None = None
        try:
            yield from pause_before_retry(problem, attempt, situation)
        except FineTuningError as error:
            # There is a look before the error, too: the job may be there.
            refusal = error
        job = yield from self._created(files)
        if job is None and refusal is not None:
            raise refusal
        # A list can lag, and what timed out here can still be in work there.
        patience = _LONG_PATIENCE if may_be_in_progress(problem) else _PATIENCE
        for pause in patience if self._may_be_created else ():
            if job is not None:
                break
            if pause >= situation.deadline.remaining():
                raise situation.timed_out()
            yield Sleep(pause)
            job = yield from self._created(files)
        return job

    def _created(self, files: _FileIds) -> Requests[Any]:
        # In whatever state: one that has failed since then is still the order's job.
        jobs = yield from self._jobs_by_key()
        if all(job.id in self._earlier for job in jobs):
            jobs = yield from self._jobs_by_files(files)
        return next((job for job in jobs if job.id not in self._earlier), None)

    def _the_only_one(self, mine: Any) -> Requests[Any]:
        # Another process can have placed the same order in the same moment. Both find
        # both jobs here: the older one stays, whoever created the other stops it.
        deadline = self.situation.deadline
        briefly = Deadline(deadline.clock, min(_LAST_LOOK, deadline.remaining()))
        try:
            jobs = yield from self._jobs_by_key(briefly)
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
        situation = self._while("cancelling a second job")
        cancel = "fine_tuning.jobs.cancel"
        try:
            yield from ask(cancel, situation, fine_tuning_job_id=mine.id)
        except FineTuningError:
            logger.warning(_TWO_JOBS, mine.id, oldest.id, mine.id)
        else:
            logger.warning(
                "Job %s was cancelled at once: job %s of the same order was there.",
                mine.id,
                oldest.id,
            )
        return oldest


def warn_of_shutdown(model: Any, today: date) -> None:
    """Warn if the server says that a model ends soon.

    Args:
        model: The SDK's model, if there is one.
        today: The date.
    """
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
