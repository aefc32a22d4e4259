"""Find or create the job of files and settings: one job, even after a retry."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import uuid
import warnings
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.connection import (
    PERHAPS_CREATED,
    Connection,
    Steps,
)
from langchain_chatexports.finetuning.errors import (
    BAD_REQUEST,
    CREATING,
    NO_ROUTE,
    UPLOADING,
    blames,
    status_of,
)
from langchain_chatexports.finetuning.run import (
    UNSUCCESSFUL,
    FineTuningRun,
    delete_files,
    has_model,
    metadata_of,
)
from langchain_chatexports.finetuning.settings import DATA_KEY, KEY, FineTunerSettings
from langchain_chatexports.finetuning.training_file import TrainingFile

if TYPE_CHECKING:
    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob


logger = logging.getLogger(__name__)

# Statuses of files. Servers that process files (Azure) refuse jobs until they are done.
_IN_PROGRESS = frozenset({"uploaded", "pending", "processing", "running"})
_BAD = frozenset({"error", "failed", "deleted", "deleting"})
_MAX_WAIT = 30.0
_MAX_WAIT_IN_PROGRESS = 600.0
_UPLOAD_TIMEOUT = 600.0  # Seconds without a byte: the server may check a large file.
_SHUTDOWN_WARNING_DAYS = 90

_locks: dict[str, threading.Lock] = {}


class NewJob:
    """The job of files and settings, which may already exist on the server."""

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
        self._earlier: set[str] = set()
        numbers = ("n_epochs", "batch_size", "learning_rate_multiplier")
        self._hyperparameters = {name: getattr(settings, name) for name in numbers}
        # Independent of the machine.
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
        connection.quotes = [file.has_words_of for file in files]

    def fine_tune(self) -> Steps[None]:
        """Yield the job's events until it has a model, and then its run."""
        run = yield from self._find_or_create()
        yield from run.follow(self.connection)
        yield run

    def submit(self) -> Steps[None]:
        """Yield the job's run."""
        yield (yield from self._find_or_create())

    def counts(self, run: FineTuningRun) -> dict[str, Any]:
        """Return the output for traces."""
        return {
            "job_id": run.id,
            "base_model": run.job.model,
            "model": run.job.fine_tuned_model,
            "examples": self._files[0].examples,
        }

    def _find_or_create(self) -> Steps[FineTuningRun]:
        # One call at a time in this process.
        name = f"{self.connection.url} {self._key}"
        lock = _locks.setdefault(name, threading.Lock())
        while not lock.acquire(blocking=False):
            if self.connection.remaining() <= 0:
                raise self.connection.timed_out(CREATING)
            yield 0.05
        try:
            job = (yield from self._find()) or (yield from self._create())
        finally:
            lock.release()
        return FineTuningRun(self._settings, job, self.connection)

    # Find the job

    def _find(self) -> Steps[FineTuningJob | None]:
        with self.connection.explaining("looking for the job"):
            jobs = self._listed_jobs()
        self._earlier.update(job.id for job in jobs)
        for job in jobs:
            is_alive = str(job.status) not in UNSUCCESSFUL
            # Train again if the model was deleted.
            if is_alive and (yield from has_model(job, self.connection)):
                logger.info("Found job %s; no new one is created.", job.id)
                return job
        return None

    def _listed_jobs(self) -> list[FineTuningJob]:
        from openai import APIStatusError

        request, found = self.connection.client.fine_tuning.jobs.list, []
        for query in ({"metadata": {KEY: self._key}}, {}):
            try:
                found = list(self.connection.items(request, **query))
                break
            except APIStatusError as error:
                # Servers may not support the filter, or the list.
                if status_of(error) not in BAD_REQUEST | NO_ROUTE:
                    raise
        # Servers may ignore the filter.
        return [job for job in found if metadata_of(job).get(KEY) == self._key]

    # Create the job

    def _create(self) -> Steps[FineTuningJob]:
        connection = self.connection
        try:
            for content in self._files:
                with connection.explaining("looking for the training file"):
                    found = self._listed_file(content)
                file = found or (yield from self._upload(content))
                self._file_ids.append(file.id)
                yield from self._await_processed(file)
            self._warn_of_shutdown()
            if connection.remaining() <= 0:
                raise connection.timed_out(CREATING)
            job = yield from connection.create_once(
                CREATING, self._send, self._created, PERHAPS_CREATED
            )
        except FineTuningError as error:
            is_refused = connection.consequence != PERHAPS_CREATED
            if self._settings.delete_training_file and is_refused:
                delete_files(self._file_ids, connection)
            elif self._file_ids:
                listed = ", ".join(self._file_ids)
                text = f"{error.args[0]} Uploaded files remain there: {listed}."
                error.args = (text,)
            raise
        if metadata_of(job).get(KEY) != self._key:
            text = "%s does not store metadata: another call would not find job %s."
            logger.warning(text, connection.url, job.id)
        return job

    def _created(self) -> FineTuningJob | None:
        # In any status: a job that has failed since then is still this job.
        jobs = (job for job in self._listed_jobs() if job.id not in self._earlier)
        return next(jobs, None)

    def _send(self) -> FineTuningJob:
        settings, create = self._settings, self.connection.once.fine_tuning.jobs.create
        numbers = {k: v for k, v in self._hyperparameters.items() if v != "auto"}
        inner = {"hyperparameters": numbers} if numbers else {}
        own = {KEY: self._key, DATA_KEY: self._files[0].digest}
        body: dict[str, Any] = {
            "model": settings.model,
            "training_file": self._file_ids[0],
            "validation_file": (*self._file_ids, None)[1],
            "suffix": settings.suffix,
            "seed": settings.seed,
            "extra_body": settings.extra_body,
            "metadata": {**(settings.metadata or {}), **own},
            "method": {"type": "supervised", "supervised": inner},
        }
        body = {name: value for name, value in body.items() if value is not None}
        while True:
            try:
                return self.connection.send(create, **body)  # type: ignore[no-any-return] # a job
            except Exception as error:  # noqa: PERF203 - at most three times
                # Some servers refuse metadata, and some require the hyperparameters in
                # their older place.
                if "metadata" in body and blames(error, "metadata"):
                    del body["metadata"]
                elif "method" in body and blames(error, "method", "hyperparameters"):
                    del body["method"]
                    body |= inner
                else:
                    raise

    def _warn_of_shutdown(self) -> None:
        name = self._settings.model
        retrieve = self.connection.client.models.retrieve
        try:
            model = self.connection.ask("retrieving the model", retrieve, model=name)
            ends = date.fromisoformat(model.shutdown_date)
        except (FineTuningError, AttributeError, TypeError, ValueError):
            return
        if (ends - datetime.now(timezone.utc).date()).days <= _SHUTDOWN_WARNING_DAYS:
            text = f"The server shuts down {name} and its tuned models on {ends}."
            warnings.warn(text, stacklevel=2)

    # Files

    def _listed_file(self, content: TrainingFile) -> FileObject | None:
        from openai import APIStatusError

        request = self.connection.client.files.list
        try:
            for file in self.connection.items(request, purpose="fine-tune"):
                # The name has the hash of the content.
                if file.filename == content.name and file.status not in _BAD:
                    return file  # type: ignore[no-any-return] # a file
        except APIStatusError as error:
            if status_of(error) not in NO_ROUTE:
                raise
        return None

    def _upload(self, content: TrainingFile) -> Steps[FileObject]:
        connection, expiry = self.connection, self._settings.file_expires_after
        arguments: dict[str, Any] = {"purpose": "fine-tune", "timeout": _UPLOAD_TIMEOUT}
        if expiry is not None:
            arguments["expires_after"] = {"anchor": "created_at", "seconds": expiry}

        def send() -> Any:
            # Not as bytes, which openai 2 logs at debug level.
            file = (content.name, io.BytesIO(content.data), "application/jsonl")
            return connection.send(connection.once.files.create, file=file, **arguments)

        file: FileObject = yield from connection.create_once(
            UPLOADING, send, lambda: self._listed_file(content)
        )
        return file

    def _await_processed(self, file: FileObject) -> Steps[None]:
        # After the limit, create the job anyway: it waits for its file.
        connection, interval = self.connection, 1.0
        limit = _MAX_WAIT if file.status == "uploaded" else _MAX_WAIT_IN_PROGRESS
        if connection.timeout is not None:
            limit = min(limit, connection.timeout / 3)
        # The status is deprecated, so ignore missing and unknown values.
        while str(file.status) in _IN_PROGRESS and limit > interval:
            yield interval
            limit -= interval
            interval = min(interval * 1.5, 5.0)
            try:
                file = connection.ask(
                    "waiting for the training file",
                    connection.client.files.retrieve,
                    file_id=file.id,
                )
            except FineTuningError as error:
                if status_of(error) in NO_ROUTE:
                    return
                raise
        if str(file.status) in _BAD:
            reason = connection.clean(file.status_details)
            msg = (
                f"{connection.url} could not use the uploaded file {file.id}"
                f"{reason and f': {reason}'}. Check the examples, and run again. "
                f"{connection.consequence}"
            )
            raise FileProcessingError(msg)
