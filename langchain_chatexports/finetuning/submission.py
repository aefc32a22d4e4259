"""From an order to its one job: look, upload, look again, create, look again.

An answer that is lost says nothing about whether the request was carried out. So
nothing is sent twice before a look at the server.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.orders import KEY, Order, TrainingFile
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
    has_no_route,
    is_passing,
    public_text,
    refuses,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_chatexports.finetuning.protocol import Protocol

__all__ = ["ENDED", "Submission", "delete_files", "warn_of_shutdown"]

logger = logging.getLogger(__name__)

ENDED = frozenset({"succeeded", "failed", "cancelled", "canceled"})
"""The statuses that end a job; every other one, known or not, does not."""

_NOT_ADOPTED = frozenset({"failed", "cancelled", "canceled"})
_FILE_IN_WORK = frozenset({"uploaded", "pending", "processing", "running"})
_FILE_BAD = frozenset({"error", "failed", "deleted", "deleting"})
_MAX_FILE_WAIT = 30.0
_WARN_DAYS = 90
_MODEL_LOOKS = 3

_NOTHING_ORDERED = "Nothing was ordered, so nothing costs."
_PERHAPS_ORDERED = (
    "The job may have been created, and may cost: run the same call again, which finds "
    "it if it is there."
)


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
        job_id: The job, once it is known.
        perhaps_created: Whether a create was sent whose answer was lost.
    """

    order: Order
    server: str
    deadline: Deadline
    poll_interval: float = 2.0
    delete_training_file: bool = False
    file_expires_after: int | None = None
    hides: Callable[[str], str] = str
    job_id: str | None = None
    perhaps_created: bool = False
    _files: list[str] = field(default_factory=list)

    def run(self) -> Protocol[Any]:
        """Find the order's job, or create it.

        Returns:
            The SDK's job.

        Raises:
            FineTuningError: If there is none afterwards.
        """
        try:
            job = yield from self._find_or_create()
        except FineTuningError as error:
            if self.delete_training_file and not self.perhaps_created:
                yield from delete_files(
                    self._files, self._situation("cleaning up"), self.deadline
                )
            elif self._files:
                _name_files(error, self._files)
            raise
        self.job_id = job.id
        return job

    def _find_or_create(self) -> Protocol[Any]:
        known: set[str] = set()
        jobs = yield from self._jobs_by_key()
        job = yield from self._adoptable(jobs)
        if job is not None:
            return job
        training, was_there = yield from self._provide(self.order.training)
        validation = None
        if self.order.validation is not None:
            validation, _ = yield from self._provide(self.order.validation)
        files = (training.id, validation and validation.id)
        if was_there:
            # A job of a server that keeps no metadata can only be known by its files.
            jobs = yield from self._jobs_by_files(*files)
            if self.order.nonce:
                known = {job.id for job in jobs}
            else:
                job = yield from self._adoptable(jobs)
                if job is not None:
                    return job
        for file in (training, validation):
            if file is not None:
                yield from self._await_file(file)
        yield from self._warn_of_shutdown()
        if self.deadline.is_over():
            raise self.deadline.error(self._situation("preparing the job"))
        return (yield from self._create(*files, known))

    # Jobs that are there

    def _jobs_by_key(self) -> Protocol[list[Any]]:
        situation = self._situation("looking for the order's job")
        if self.perhaps_created:
            situation = situation.with_(consequence=_PERHAPS_ORDERED)
        try:
            jobs = yield from list_all(
                "fine_tuning.jobs.list",
                situation,
                self.deadline,
                metadata={KEY: self.order.key},
            )
        except FineTuningError as error:
            # A server that does not know the filter; the files are looked at later.
            if status_of(error) not in {400, 422}:
                raise
            jobs = []
        if jobs is None:
            self._require_list()
        # Servers may ignore the filter.
        return [job for job in jobs or () if _key_of(job) == self.order.key]

    def _jobs_by_files(
        self, training_id: str, validation_id: str | None
    ) -> Protocol[list[Any]]:
        situation = self._situation("looking for the order's job")
        if self.perhaps_created:
            situation = situation.with_(consequence=_PERHAPS_ORDERED)
        jobs = yield from list_all("fine_tuning.jobs.list", situation, self.deadline)
        if jobs is None:
            self._require_list()
        return [
            job
            for job in jobs or ()
            if _key_of(job) == self.order.key
            or (
                _key_of(job) is None
                and job.training_file == training_id
                and (job.validation_file or None) == validation_id
                and _same_settings(job, self.order)
            )
        ]

    def _require_list(self) -> None:
        if self.perhaps_created:
            msg = (
                f"The answer to creating the job was lost, and {self.server} has no "
                "list of jobs to look it up. The job may have been created, and may "
                "cost: look in the server's own console before you run this again."
            )
            raise FineTuningError(msg)

    def _adoptable(self, jobs: list[Any]) -> Protocol[Any]:
        for job in jobs:
            if str(job.status) in _NOT_ADOPTED:
                continue
            if job.status == "succeeded" and (yield from self._model_is_gone(job)):
                continue
            logger.info("Found the order's job %s; no new one is created.", job.id)
            return job
        return None

    def _model_is_gone(self, job: Any) -> Protocol[bool]:
        # Only if the server knows models at all, and keeps saying so: a new model may
        # need a moment.
        if not job.fine_tuned_model or (yield from self._model(job.model)) is None:
            return False
        for _ in range(_MODEL_LOOKS):
            if (yield from self._model(job.fine_tuned_model)) is not None:
                return False
            if self.deadline.remaining() <= self.poll_interval:
                return False
            yield Sleep(self.poll_interval)
        return True

    def _model(self, name: str) -> Protocol[Any]:
        # `None` only where the server says that there is none.
        situation = self._situation("looking up the model")
        try:
            return (
                yield from ask("models.retrieve", situation, self.deadline, model=name)
            )
        except FineTuningError as error:
            return None if has_no_route(error) else error

    # Files

    def _provide(self, file: TrainingFile) -> Protocol[tuple[Any, bool]]:
        found = yield from self._find_file(file)
        if found is not None:
            self._files.append(found.id)
            return found, True
        situation = self._situation("uploading the training file").with_(
            creates_file=True
        )
        arguments: dict[str, Any] = {}
        if self.file_expires_after is not None:
            arguments["expires_after"] = {
                "anchor": "created_at",
                "seconds": self.file_expires_after,
            }
        attempt = 0
        while True:
            attempt += 1
            try:
                sent = yield from ask_once(
                    "files.create",
                    file=(file.name, file.data, "application/jsonl"),
                    purpose="fine-tune",
                    **arguments,
                )
            except Exception as error:  # noqa: BLE001 - sorted by `explained`
                problem = error
            else:
                self._files.append(sent.id)
                return sent, False
            yield from pause_before_retry(problem, attempt, situation, self.deadline)
            found = yield from self._find_file(file)
            if found is not None:
                self._files.append(found.id)
                return found, False

    def _find_file(self, file: TrainingFile) -> Protocol[Any]:
        files = yield from list_all(
            "files.list",
            self._situation("looking for the training file"),
            self.deadline,
            purpose="fine-tune",
        )
        for there in files or ():
            if (
                there.filename == file.name
                and there.bytes in {None, len(file.data)}
                and there.status not in _FILE_BAD
                # It could expire before the job has read it.
                and (self.file_expires_after is not None or not there.expires_at)
            ):
                return there
        return None

    def _await_file(self, file: Any) -> Protocol[None]:
        limit = _MAX_FILE_WAIT
        if self.deadline.seconds is not None:
            limit = min(limit, self.deadline.seconds / 3)
        patience = Deadline(self.deadline.clock, limit)
        interval = min(self.poll_interval, 1.0)
        while True:
            if file.status in _FILE_BAD:
                said = public_text(str(file.status_details or ""), self.hides)
                msg = (
                    f"{self.server} could not use the uploaded file {file.id}"
                    f"{': ' + said if said else ''}. {_NOTHING_ORDERED} Check the "
                    "examples, and run again."
                )
                raise FileProcessingError(msg, status=str(file.status))
            # The field is deprecated: a missing one says nothing.
            if file.status not in _FILE_IN_WORK:
                return
            if patience.remaining() <= interval:
                return  # The job itself waits for its file.
            yield Sleep(interval)
            interval = min(interval * 1.5, 5.0)
            try:
                file = yield from ask(
                    "files.retrieve",
                    self._situation("waiting for the training file"),
                    self.deadline,
                    file_id=file.id,
                )
            except FineTuningError as error:
                if not has_no_route(error):
                    raise
                return

    # The job

    def _create(
        self, training_id: str, validation_id: str | None, known: set[str]
    ) -> Protocol[Any]:
        forms = {"with_metadata": True, "old_form": False}
        attempt = 0
        while True:
            body = self.order.body(training_id, validation_id, **forms)
            try:
                job = yield from ask_once("fine_tuning.jobs.create", **body)
            except Exception as error:  # noqa: BLE001 - sorted below
                problem = error
            else:
                self._warn_of_ignored_settings(job)
                return job
            if forms["with_metadata"] and refuses(problem, "metadata"):
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
            job = yield from self._look_after_create(
                problem, attempt, (training_id, validation_id), known
            )
            if job is not None:
                return job

    def _look_after_create(
        self,
        problem: Exception,
        attempt: int,
        files: tuple[str, str | None],
        known: set[str],
    ) -> Protocol[Any]:
        situation = self._situation("creating the job").with_(creates_job=True)
        if not is_passing(problem):
            raise explained(problem, situation) from cause_of(problem, situation)
        if status_of(problem) != 429:  # noqa: PLR2004 - refused for certain
            self.perhaps_created = True
        if self.perhaps_created:
            situation = situation.with_(consequence=_PERHAPS_ORDERED)
        # The last look comes before the error: the job may be there.
        try:
            yield from pause_before_retry(problem, attempt, situation, self.deadline)
        except FineTuningError:
            job = yield from self._find_created(files, known)
            if job is None:
                raise
            return job
        job = yield from self._find_created(files, known)
        self.perhaps_created = job is not None
        return job

    def _find_created(
        self, files: tuple[str, str | None], known: set[str]
    ) -> Protocol[Any]:
        jobs = yield from self._jobs_by_key()
        if not jobs:
            jobs = yield from self._jobs_by_files(*files)
        for job in jobs:
            if job.id not in known and str(job.status) not in _NOT_ADOPTED:
                return job
        return None

    def _warn_of_ignored_settings(self, job: Any) -> None:
        taken = _hyperparameters_of(job)
        for name, value in self.order.hyperparameters.items():
            if value not in {"auto", taken.get(name, value)}:
                logger.warning(
                    "Job %s has another %s than was asked for.", job.id, name
                )

    def _warn_of_shutdown(self) -> Protocol[None]:
        model = yield from self._model(self.order.model)
        warn_of_shutdown(model, self.deadline.clock.today())

    def _situation(self, doing: str) -> Situation:
        return Situation(
            server=self.server,
            doing=doing,
            consequence=_NOTHING_ORDERED,
            hides=self.hides,
        )


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
    if days <= _WARN_DAYS:
        warnings.warn(
            f"The server shuts the model {model.id} down on {ends}, and what is tuned "
            "from it with it.",
            stacklevel=2,
        )


def delete_files(
    file_ids: list[str],
    situation: Situation,
    deadline: Deadline,
    job_id: str | None = None,
) -> Protocol[None]:
    """Delete uploaded files that no other job needs, and warn of those that stay.

    Args:
        file_ids: The files.
        situation: What for.
        deadline: When to give up.
        job_id: The job that no longer needs them.
    """
    needed = yield from _files_in_use(situation, deadline, job_id)
    for file_id in file_ids:
        if file_id in needed:
            logger.warning("The training file %s stays: another job uses it.", file_id)
            continue
        try:
            yield from ask("files.delete", situation, deadline, file_id=file_id)
        except FineTuningError as error:
            if status_of(error) != 404:  # noqa: PLR2004 - it is gone
                logger.warning(
                    "The training file %s could not be deleted and is still at %s.",
                    file_id,
                    situation.server,
                )


def _files_in_use(
    situation: Situation, deadline: Deadline, job_id: str | None
) -> Protocol[set[str | None]]:
    try:
        jobs = yield from list_all("fine_tuning.jobs.list", situation, deadline)
    except FineTuningError:
        jobs = None
    return {
        file_id
        for job in jobs or ()
        if job.id != job_id and str(job.status) not in ENDED
        for file_id in (job.training_file, job.validation_file)
    }


def _name_files(error: FineTuningError, file_ids: list[str]) -> None:
    listed = ", ".join(file_ids)
    error.args = (f"{error.args[0]} Uploaded files that stay there: {listed}.",)


def _key_of(job: Any) -> str | None:
    metadata = getattr(job, "metadata", None)
    return metadata.get(KEY) if isinstance(metadata, Mapping) else None


def _same_settings(job: Any, order: Order) -> bool:
    # An alias such as gpt-4o-mini comes back with its date.
    if not re.fullmatch(rf"{re.escape(order.model)}(-\d[\d-]*)?", str(job.model)):
        return False
    suffix = getattr(job, "suffix", None)
    if suffix is not None and suffix != order.suffix:
        return False
    if None not in (job.seed, order.seed) and job.seed != order.seed:
        return False
    taken = _hyperparameters_of(job)
    return all(
        value in {"auto", taken.get(name, value)}
        for name, value in order.hyperparameters.items()
    )


def _hyperparameters_of(job: Any) -> dict[str, Any]:
    # In `method` or, as it used to be, by themselves; what is missing says nothing.
    method = getattr(job, "method", None)
    inner = getattr(method, str(getattr(method, "type", "")), None)
    for holder in (getattr(inner, "hyperparameters", None), job.hyperparameters):
        if holder is not None:
            values = {
                name: getattr(holder, name, None)
                for name in ("n_epochs", "batch_size", "learning_rate_multiplier")
            }
            return {k: v for k, v in values.items() if v not in {None, "auto"}}
    return {}
