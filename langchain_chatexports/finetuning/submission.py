"""From an order to its one job: look, upload, look again, create, look again.

An answer that is lost says nothing about whether the request was carried out. So
nothing is sent twice before a look at the server.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.matching import (
    NOT_TAKEN_UP,
    has_key,
    hyperparameters_of,
    is_of_files,
)
from langchain_chatexports.finetuning.models import (
    is_gone,
    look_up_model,
    warn_of_shutdown,
)
from langchain_chatexports.finetuning.orders import KEY
from langchain_chatexports.finetuning.protocol import (
    Deadline,
    Sleep,
    ask,
    ask_once,
    list_all,
    pause_before_retry,
)
from langchain_chatexports.finetuning.server_errors import (
    Situation,
    cause_of,
    explained,
    is_bad_request,
    is_passing,
    is_perhaps_in_work,
    refuses,
    status_of,
)
from langchain_chatexports.finetuning.uploads import Uploads, delete_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_chatexports.finetuning.orders import Order
    from langchain_chatexports.finetuning.protocol import Protocol

__all__ = ["Submission"]

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
_LONG_PATIENCE = (2.0, 4.0, 8.0, 16.0, 30.0)

_LAST_LOOK = 5.0

FileIds: TypeAlias = tuple[str, str | None]


@dataclass
class Submission:
    """One order on its way to one job.

    Attributes:
        order: What is ordered.
        server: The server's base URL, for errors.
        deadline: When to give up.
        poll_interval: Seconds between looks at something that is not ready.
        delete_training_file: Delete what was uploaded if no job comes of it.
        file_expires_after: Seconds after which the server deletes the files by itself.
        hides: Takes what is private out of a server's message.
    """

    order: Order
    server: str
    deadline: Deadline
    poll_interval: float = 2.0
    delete_training_file: bool = False
    file_expires_after: int | None = None
    hides: Callable[[str], str] = str
    _perhaps_created: bool = False
    _known: set[str] = field(default_factory=set)

    def run(self) -> Protocol[Any]:
        """Find the order's job, or create it.

        Returns:
            The SDK's job.

        Raises:
            FineTuningError: If there is none afterwards.
        """
        jobs = yield from self._jobs_by_key()
        job = yield from self._one_to_take_up(jobs)
        if job is not None:
            return job
        situation = self._situation("providing the training file")
        uploads = Uploads(situation, self.deadline, self.file_expires_after)
        try:
            return (yield from self._upload_and_create(uploads))
        except FineTuningError as error:
            if self.delete_training_file and not self._perhaps_created:
                situation = self._situation("deleting the training file")
                yield from delete_files(uploads.ids, situation, self.deadline)
            elif uploads.ids:
                listed = ", ".join(uploads.ids)
                text = f"{error.args[0]} Uploaded files that stay there: {listed}."
                error.args = (text,)
            raise

    def _upload_and_create(self, uploads: Uploads) -> Protocol[Any]:
        training, was_there = yield from uploads.provide(self.order.training)
        validation = None
        if self.order.validation is not None:
            validation, _ = yield from uploads.provide(self.order.validation)
        files = (training.id, validation and validation.id)
        if was_there:
            # A job of a server that keeps no metadata can only be known by its files.
            jobs = yield from self._jobs_by_files(files)
            job = yield from self._one_to_take_up(jobs)
            if job is not None:
                return job
        for file in (training, validation):
            if file is not None:
                yield from uploads.await_processed(file)
        model = yield from look_up_model(
            self.order.model, self._situation("looking up the model"), self.deadline
        )
        warn_of_shutdown(model, self.deadline.clock.today())
        if self.deadline.is_over():
            raise self.deadline.error(self._situation("preparing the job"))
        return (yield from self._create(files))

    # Jobs that are there

    def _jobs_by_key(self, deadline: Deadline | None = None) -> Protocol[list[Any]]:
        try:
            # Servers may ignore the filter.
            jobs = yield from self._jobs(deadline, metadata={KEY: self.order.key})
        except FineTuningError as error:
            # Or not know it; then the files are looked at.
            if not is_bad_request(error):
                raise
            return []
        return [job for job in jobs if has_key(job, self.order)]

    def _jobs_by_files(self, files: FileIds) -> Protocol[list[Any]]:
        jobs = yield from self._jobs()
        return [
            job
            for job in jobs
            if has_key(job, self.order) or is_of_files(job, self.order, files)
        ]

    def _jobs(
        self, deadline: Deadline | None = None, **filters: Any
    ) -> Protocol[list[Any]]:
        situation = self._situation("looking for the order's job")
        jobs = yield from list_all(
            "fine_tuning.jobs.list", situation, deadline or self.deadline, **filters
        )
        if jobs is None and self._perhaps_created:
            msg = (
                f"The answer to creating the job was lost, and {self.server} has no "
                "list of jobs to look it up. The job may have been created, and may "
                "cost: look in the server's own console before you run this again."
            )
            raise FineTuningError(msg)
        return jobs or []

    def _one_to_take_up(self, jobs: list[Any]) -> Protocol[Any]:
        # Of the others it is known, later, that they are not the one created here.
        self._known.update(job.id for job in jobs)
        if self.order.nonce:
            return None
        for job in jobs:
            if str(job.status) in NOT_TAKEN_UP:
                continue
            situation = self._situation("looking up the model")
            if job.status == "succeeded" and (
                yield from is_gone(job, situation, self.deadline, self.poll_interval)
            ):
                continue
            logger.info("Found the order's job %s; no new one is created.", job.id)
            return job
        return None

    # The new job

    def _create(self, files: FileIds) -> Protocol[Any]:
        training, validation = files
        forms = {"with_metadata": True, "old_form": False}
        attempt = 0
        while True:
            body = self.order.body(training, validation, **forms)
            try:
                job = yield from ask_once("fine_tuning.jobs.create", **body)
            except Exception as error:  # noqa: BLE001 - sorted below
                problem = error
            else:
                self._warn_of_ignored_settings(job)
                return (yield from self._the_only_one(job))
            if forms["with_metadata"] and refuses(problem, "metadata"):
                logger.warning("%s takes no metadata: no labels.", self.server)
                forms["with_metadata"] = False
                continue
            if (
                not forms["old_form"]
                and self.order.method == "supervised"
                and refuses(problem, "method", "hyperparameters")
            ):
                forms["old_form"] = True
                continue
            attempt += 1
            job = yield from self._look_before_retry(problem, attempt, files)
            if job is not None:
                return job

    def _look_before_retry(
        self, problem: Exception, attempt: int, files: FileIds
    ) -> Protocol[Any]:
        job = yield from self._pause_and_look(problem, attempt, files)
        # A list can lag, and what timed out here can still be in work there.
        patience = _LONG_PATIENCE if is_perhaps_in_work(problem) else _PATIENCE
        for pause in patience if self._perhaps_created else ():
            if job is not None:
                break
            if pause >= self.deadline.remaining():
                raise self.deadline.error(self._situation("creating the job"))
            yield Sleep(pause)
            job = yield from self._created(files)
        return job

    def _pause_and_look(
        self, problem: Exception, attempt: int, files: FileIds
    ) -> Protocol[Any]:
        # 429 is a refusal for certain.
        passing = is_passing(problem)
        self._perhaps_created = passing and status_of(problem) != 429  # noqa: PLR2004
        situation = self._situation("creating the job").with_(creates_job=True)
        if not passing:
            raise explained(problem, situation) from cause_of(problem, situation)
        # There is a look before the error, too: the job may be there.
        try:
            yield from pause_before_retry(problem, attempt, situation, self.deadline)
        except FineTuningError:
            job = yield from self._created(files)
            if job is None:
                raise
            return job
        return (yield from self._created(files))

    def _created(self, files: FileIds) -> Protocol[Any]:
        # In whatever state: one that has failed since then is still the order's job.
        jobs = yield from self._jobs_by_key()
        jobs = [job for job in jobs if job.id not in self._known]
        if not jobs:
            jobs = yield from self._jobs_by_files(files)
            jobs = [job for job in jobs if job.id not in self._known]
        return jobs[0] if jobs else None

    def _the_only_one(self, mine: Any) -> Protocol[Any]:
        # Another process can have placed the same order in the same moment. Both find
        # both jobs here: the older one stays, whoever created the other stops it.
        briefly = Deadline(
            self.deadline.clock, min(_LAST_LOOK, self.deadline.remaining())
        )
        try:
            jobs = yield from self._jobs_by_key(briefly)
        except FineTuningError:
            return mine
        others = [
            job
            for job in jobs
            if job.id not in {*self._known, mine.id}
            and str(job.status) not in NOT_TAKEN_UP
        ]
        oldest = min([mine, *others], key=_age)
        if oldest is mine:
            for job in others:
                logger.warning(_TWO_JOBS, job.id, mine.id, job.id)
            return mine
        yield from self._cancel(mine, oldest)
        return oldest

    def _cancel(self, mine: Any, other: Any) -> Protocol[None]:
        situation = self._situation("cancelling a second job")
        try:
            yield from ask(
                "fine_tuning.jobs.cancel",
                situation,
                self.deadline,
                fine_tuning_job_id=mine.id,
            )
        except FineTuningError:
            logger.warning(_TWO_JOBS, mine.id, other.id, mine.id)
        else:
            logger.warning(
                "Job %s was cancelled at once: job %s of the same order was there.",
                mine.id,
                other.id,
            )

    def _warn_of_ignored_settings(self, job: Any) -> None:
        taken = hyperparameters_of(job)
        for name, value in self.order.hyperparameters.items():
            if value not in ("auto", taken.get(name, value)):
                logger.warning(
                    "Job %s has another %s than was asked for.", job.id, name
                )

    def _situation(self, doing: str) -> Situation:
        return Situation(
            server=self.server,
            doing=doing,
            consequence=(
                _PERHAPS_ORDERED if self._perhaps_created else _NOTHING_ORDERED
            ),
            hides=self.hides,
        )


def _age(job: Any) -> tuple[float, str]:
    created = job.created_at
    return (created if isinstance(created, (int, float)) else float("inf"), job.id)
