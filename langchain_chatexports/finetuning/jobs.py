"""Find or create the job for files and settings, exactly once even with retries."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import uuid
import warnings
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.connection import (
    MAYBE_CREATED,
    Connection,
    Steps,
)
from langchain_chatexports.finetuning.errors import (
    BAD_REQUEST,
    CREATING,
    NO_ROUTE,
    UPLOADING,
    http_status,
    rejects_field,
)
from langchain_chatexports.finetuning.run import (
    UNSUCCESSFUL,
    FineTuningRun,
    delete_files,
    get_metadata,
    has_model,
)
from langchain_chatexports.finetuning.settings import DATA_KEY, KEY, FineTunerSettings
from langchain_chatexports.finetuning.training_file import TrainingFile

if TYPE_CHECKING:
    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob


logger = logging.getLogger(__name__)

# Statuses of files. Servers that process files (Azure) reject jobs until they finish.
_IN_PROGRESS = frozenset({"uploaded", "pending", "processing", "running"})
_BAD = frozenset({"error", "failed", "deleted", "deleting"})
_MAX_WAIT = 30.0
_MAX_WAIT_IN_PROGRESS = 600.0
_UPLOAD_TIMEOUT = 600.0  # Seconds without a byte: servers may check a large file.
_SHUTDOWN_WARNING_DAYS = 90

_locks: dict[str, threading.Lock] = {}


class NewJob:
    """The job for files and settings, which may already exist on the server."""

    def __init__(
        self,
        settings: FineTunerSettings,
        connection: Connection,
        files: list[TrainingFile],
    ) -> None:
        self._settings = settings
        self.connection = connection
        self._files = files
        self._file_ids: list[str] = []
        self._earlier_job_ids: set[str] = set()
        names = ("n_epochs", "batch_size", "learning_rate_multiplier")
        self._hyperparameters = {name: getattr(settings, name) for name in names}
        # The key must not depend on the machine.
        parts: dict[str, Any] = {
            "files": [file.digest for file in files],
            "model": settings.model,
            "hyperparameters": self._hyperparameters,
            "suffix": settings.suffix,
            "seed": settings.seed,
            "extra_body": settings.extra_body,
            "nonce": uuid.uuid4().hex if settings.run_again else None,
        }
        text = json.dumps(parts, sort_keys=True, default=repr)
        self._key = hashlib.sha256(text.encode()).hexdigest()
        connection.quote_checks = [file.is_quoted_in for file in files]

    def fine_tune(self) -> Steps[None]:
        """Yield the job's events until it has a model, and then its run."""
        run = yield from self._find_or_create()
        yield from run.follow(self.connection)
        yield run

    def submit(self) -> Steps[None]:
        """Yield the job's run."""
        yield (yield from self._find_or_create())

    def summarize_trace(self, run: FineTuningRun) -> dict[str, Any]:
        """Return the run's output for traces: counts and ids, no text."""
        return {
            "job_id": run.id,
            "base_model": run.job.model,
            "model": run.job.fine_tuned_model,
            "examples": self._files[0].examples,
        }

    def _find_or_create(self) -> Steps[FineTuningRun]:
        # Only one call at a time in this process.
        name = f"{self.connection.url} {self._key}"
        lock = _locks.setdefault(name, threading.Lock())
        while not lock.acquire(blocking=False):
            if self.connection.remaining_seconds() <= 0:
                raise self.connection.timeout_error(CREATING)
            yield 0.05
        try:
            job = (yield from self._find()) or (yield from self._create())
        finally:
            lock.release()
        return FineTuningRun(self._settings, job, self.connection)

    # Find the job

    def _find(self) -> Steps[FineTuningJob | None]:
        with self.connection.translate_errors("looking for the job"):
            jobs = self._list_jobs()
        self._earlier_job_ids.update(job.id for job in jobs)
        for job in jobs:
            is_reusable = str(job.status) not in UNSUCCESSFUL
            # If the model was deleted, train again.
            if is_reusable and (yield from has_model(job, self.connection)):
                logger.info("Found job %s, so no new one is created.", job.id)
                return job
        return None

    def _list_jobs(self) -> list[FineTuningJob]:
        from openai import APIStatusError

        request, jobs = self.connection.client.fine_tuning.jobs.list, []
        for query in ({"metadata": {KEY: self._key}}, {}):
            try:
                jobs = list(self.connection.iter_items(request, **query))
                break
            except APIStatusError as error:
                # Servers may not support the filter, or the list.
                if http_status(error) not in BAD_REQUEST | NO_ROUTE:
                    raise
        # Servers may ignore the filter.
        return [job for job in jobs if get_metadata(job).get(KEY) == self._key]

    # Create the job

    def _create(self) -> Steps[FineTuningJob]:
        connection = self.connection
        try:
            for content in self._files:
                with connection.translate_errors("looking for the training file"):
                    uploaded = self._find_file(content)
                file = uploaded or (yield from self._upload(content))
                self._file_ids.append(file.id)
                yield from self._wait_until_processed(file)
            self._warn_about_shutdown()
            if connection.remaining_seconds() <= 0:
                raise connection.timeout_error(CREATING)
            job = yield from connection.create_once(
                CREATING, self._send, self._find_created, MAYBE_CREATED
            )
        except FineTuningError as error:
            is_rejected = connection.error_hint != MAYBE_CREATED
            if self._settings.delete_training_file and is_rejected:
                delete_files(self._file_ids, connection)
            elif self._file_ids:
                file_ids = ", ".join(self._file_ids)
                text = f"{error.args[0]} Uploaded files were not deleted: {file_ids}."
                error.args = (text,)
            raise
        if get_metadata(job).get(KEY) != self._key:
            text = "%s does not store metadata, so later calls will not find job %s."
            logger.warning(text, connection.url, job.id)
        return job

    def _find_created(self) -> FineTuningJob | None:
        # Include every status, because the job may have failed already.
        jobs = (job for job in self._list_jobs() if job.id not in self._earlier_job_ids)
        return next(jobs, None)

    def _send(self) -> FineTuningJob:
        settings, create = (
            self._settings,
            self.connection.unretried_client.fine_tuning.jobs.create,
        )
        values = {k: v for k, v in self._hyperparameters.items() if v != "auto"}
        hyperparameters = {"hyperparameters": values} if values else {}
        keys = {KEY: self._key, DATA_KEY: self._files[0].digest}
        body: dict[str, Any] = {
            "model": settings.model,
            "training_file": self._file_ids[0],
            "validation_file": (*self._file_ids, None)[1],
            "suffix": settings.suffix,
            "seed": settings.seed,
            "extra_body": settings.extra_body,
            "metadata": {**(settings.metadata or {}), **keys},
            "method": {"type": "supervised", "supervised": hyperparameters},
        }
        body = {name: value for name, value in body.items() if value is not None}
        while True:
            try:
                return self.connection.send(create, **body)  # type: ignore[no-any-return] # a job
            except Exception as error:
                # Some servers reject metadata, and some require hyperparameters in the
                # older field.
                if "metadata" in body and rejects_field(error, "metadata"):
                    del body["metadata"]
                elif "method" in body and rejects_field(
                    error, "method", "hyperparameters"
                ):
                    del body["method"]
                    body |= hyperparameters
                else:
                    raise

    def _warn_about_shutdown(self) -> None:
        name = self._settings.model
        retrieve = self.connection.client.models.retrieve
        try:
            model = self.connection.call("retrieving the model", retrieve, model=name)
            shutdown_date = date.fromisoformat(model.shutdown_date)
        except (FineTuningError, AttributeError, TypeError, ValueError):
            return
        today = datetime.now(UTC).date()
        if (shutdown_date - today).days <= _SHUTDOWN_WARNING_DAYS:
            text = (
                f"The provider will shut down {name} and its tuned models on "
                f"{shutdown_date}."
            )
            warnings.warn(text, stacklevel=2)

    # Files

    def _find_file(self, content: TrainingFile) -> FileObject | None:
        from openai import APIStatusError

        request = self.connection.client.files.list
        try:
            for file in self.connection.iter_items(request, purpose="fine-tune"):
                # The name contains the hash of the content.
                if file.filename == content.name and file.status not in _BAD:
                    return file  # type: ignore[no-any-return] # a file
        except APIStatusError as error:
            if http_status(error) not in NO_ROUTE:
                raise
        return None

    def _upload(self, content: TrainingFile) -> Steps[FileObject]:
        connection, expiry = self.connection, self._settings.file_expires_after
        arguments: dict[str, Any] = {"purpose": "fine-tune", "timeout": _UPLOAD_TIMEOUT}
        if expiry is not None:
            arguments["expires_after"] = {"anchor": "created_at", "seconds": expiry}

        def send() -> Any:
            # openai 2 logs bytes at debug level, but not the content of a file.
            file = (content.name, io.BytesIO(content.data), "application/jsonl")
            return connection.send(
                connection.unretried_client.files.create, file=file, **arguments
            )

        file: FileObject = yield from connection.create_once(
            UPLOADING, send, lambda: self._find_file(content)
        )
        return file

    def _wait_until_processed(self, file: FileObject) -> Steps[None]:
        # After the limit, create the job anyway: it waits for the file.
        connection, interval = self.connection, 1.0
        limit = _MAX_WAIT if file.status == "uploaded" else _MAX_WAIT_IN_PROGRESS
        if connection.timeout is not None:
            limit = min(limit, connection.timeout / 3)
        # The status is deprecated: ignore missing and unknown values.
        while str(file.status) in _IN_PROGRESS and limit > interval:
            yield interval
            limit -= interval
            interval = min(interval * 1.5, 5.0)
            try:
                file = connection.call(
                    "waiting for the training file",
                    connection.client.files.retrieve,
                    file_id=file.id,
                )
            except FineTuningError as error:
                if http_status(error) in NO_ROUTE:
                    return
                raise
        if str(file.status) in _BAD:
            reason = connection.clean(file.status_details)
            msg = (
                f"{connection.url} could not use the uploaded file {file.id}"
                f"{reason and f': {reason}'}. Check the examples and try again. "
                f"{connection.error_hint}"
            )
            raise FileProcessingError(msg)
