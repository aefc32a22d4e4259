"""Orders: find or create their files and jobs, exactly once despite retries."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from openai import APIError, APIStatusError
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from langchain_chatexports.datasets.inputs import TrainingInput
from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.chat_model import check_arguments
from langchain_chatexports.finetuning.connection import (
    ENDED,
    NOT_CREATED,
    Connection,
    each_once,
    get_metadata,
)
from langchain_chatexports.finetuning.errors import (
    BAD_REQUEST,
    NO_ROUTE,
    http_status,
    is_temporary,
    rejects_field,
)
from langchain_chatexports.finetuning.run import FineTuningRun
from langchain_chatexports.finetuning.settings import DATA_KEY, KEY, FineTunerSettings
from langchain_chatexports.finetuning.training_file import (
    TrainingFile,
    create_training_files,
)

logger = logging.getLogger(__name__)

_MAYBE_CREATED = (
    "The job may have been created, and may be billed. Make the same call again: it "
    "finds the job if it exists."
)
# Statuses of files. Servers that process files (Azure) reject jobs until they finish.
_IN_PROGRESS = frozenset({"uploaded", "pending", "processing", "running"})
_BAD = frozenset({"error", "failed", "deleted", "deleting"})
_MAX_WAIT = 30.0
_MAX_WAIT_IN_PROGRESS = 600.0
_SHUTDOWN_WARNING_DAYS = 90

_locks: dict[str, threading.Lock] = {}


class Order:
    """Validated files and settings, whose hash identifies their job on the server."""

    def __init__(self, settings: FineTunerSettings, data: TrainingInput) -> None:
        self._settings = settings
        # Before reading the examples, which the timeout includes.
        self._connection = Connection(settings)
        self._files = files = create_training_files(settings, data)
        self._connection.files = files
        check_arguments(self._connection, settings)
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

    def submit(self) -> FineTuningRun:
        """Find or create the job."""
        with self._connection.open():
            return self._submit()

    def fine_tune(self) -> Iterator[FineTuningJobEvent]:
        """Find or create the job and yield its events until it has a model."""
        with self._connection.open() as connection:
            self.run = self._submit()
            yield from self.run._follow(connection)  # noqa: SLF001 - same room

    def summarize(self) -> dict[str, Any]:
        """Return the output for traces, without texts."""
        return {
            "job_id": self.run.id,
            "base_model": self.run.job.model,
            "model": self.run.job.fine_tuned_model,
            "examples": self._files[0].examples,
        }

    def _submit(self) -> FineTuningRun:
        # Only one call at a time in this process.
        connection = self._connection
        lock = _locks.setdefault(f"{connection.url} {self._key}", threading.Lock())
        with lock:
            connection.check_timeout()
            job = self._find_or_create()
        return FineTuningRun(self._settings, job, connection)

    def _find_or_create(self) -> FineTuningJob:
        earlier_jobs = self._list_jobs()
        for job in earlier_jobs:
            is_reusable = job.status == "succeeded" or str(job.status) not in ENDED
            # If the model was deleted, train again.
            if is_reusable and self._connection.has_model(job):
                logger.info("Found job %s, so no new one is created.", job.id)
                return job
        file_ids: list[str] = []
        try:
            for file in self._files:
                file_ids.append(self._upload(file))  # noqa: PERF401 - some may fail
            self._warn_about_shutdown()
            self._connection.check_timeout()
            job = self._create(file_ids, {job.id for job in earlier_jobs})
        except (APIError, FineTuningError) as error:
            self._clean_up(file_ids, error)
            raise
        if get_metadata(job).get(KEY) != self._key:
            text = "%s does not store metadata, so later calls will not find job %s."
            logger.warning(text, self._connection.url, job.id)
        return job

    def _list_jobs(self) -> list[FineTuningJob]:
        request = self._connection.client.fine_tuning.jobs.list
        jobs: list[FineTuningJob] = []
        queries: tuple[dict[str, Any], ...] = ({"metadata": {KEY: self._key}}, {})
        for query in queries:
            try:
                jobs = list(each_once(request(limit=100, **query)))
                break
            except APIStatusError as error:
                # Servers may not support the filter, or the list.
                if error.status_code not in BAD_REQUEST | NO_ROUTE:
                    raise
        # Servers may ignore the filter.
        return [job for job in jobs if get_metadata(job).get(KEY) == self._key]

    def _create(self, file_ids: list[str], earlier_ids: set[str]) -> FineTuningJob:
        jobs = self._connection.client.with_options(max_retries=0).fine_tuning.jobs
        body = self._request_body(file_ids)

        def create() -> FineTuningJob:
            while True:
                try:
                    return jobs.create(**body)
                except APIError as error:
                    if _adapt(body, error):
                        continue
                    if is_temporary(error) and http_status(error) != 429:  # noqa: PLR2004 - HTTP
                        self._connection.hint = _MAYBE_CREATED
                    raise

        def find() -> FineTuningJob | None:
            # Include every status, because the job may have failed already.
            new_jobs = (job for job in self._list_jobs() if job.id not in earlier_ids)
            return next(new_jobs, None)

        return self._connection.create_once(create, find)

    def _request_body(self, file_ids: list[str]) -> dict[str, Any]:
        settings = self._settings
        values = {k: v for k, v in self._hyperparameters.items() if v != "auto"}
        hyperparameters = {"hyperparameters": values} if values else {}
        keys = {KEY: self._key, DATA_KEY: self._files[0].digest}
        body: dict[str, Any] = {
            "model": settings.model,
            "training_file": file_ids[0],
            "validation_file": file_ids[1] if len(file_ids) > 1 else None,
            "suffix": settings.suffix,
            "seed": settings.seed,
            "extra_body": settings.extra_body,
            "metadata": {**(settings.metadata or {}), **keys},
            "method": {"type": "supervised", "supervised": hyperparameters},
        }
        return {name: value for name, value in body.items() if value is not None}

    def _warn_about_shutdown(self) -> None:
        name = self._settings.model
        try:
            model: Any = self._connection.client.models.retrieve(name)
            shutdown_date = date.fromisoformat(model.shutdown_date)
        except (APIError, AttributeError, TypeError, ValueError):
            return
        today = datetime.now(UTC).date()
        if (shutdown_date - today).days <= _SHUTDOWN_WARNING_DAYS:
            text = (
                f"The provider will shut down {name} and its tuned models on "
                f"{shutdown_date}."
            )
            warnings.warn(text, stacklevel=2)

    # Files

    def _upload(self, content: TrainingFile) -> str:
        files = self._connection.client.with_options(max_retries=0).files
        arguments: dict[str, Any] = {"purpose": "fine-tune"}
        if seconds := self._settings.file_expires_after:
            arguments["expires_after"] = {"anchor": "created_at", "seconds": seconds}

        def create() -> FileObject:
            # openai 2 logs bytes at debug level, but not the content of a file.
            file = (content.name, io.BytesIO(content.data), "application/jsonl")
            return files.create(file=file, **arguments)

        find = partial(self._find_file, content)
        file = find() or self._connection.create_once(create, find)
        self._wait_until_processed(file)
        return file.id

    def _find_file(self, content: TrainingFile) -> FileObject | None:
        request = self._connection.client.files.list
        try:
            for file in each_once(request(limit=100, purpose="fine-tune")):
                # The name contains the hash of the content.
                if file.filename == content.name and str(file.status) not in _BAD:
                    return file
        except APIStatusError as error:
            if error.status_code not in NO_ROUTE:
                raise
        return None

    def _wait_until_processed(self, file: FileObject) -> None:
        # After the limit, create the job anyway: it waits for the file.
        connection, interval = self._connection, 1.0
        limit = _MAX_WAIT if file.status == "uploaded" else _MAX_WAIT_IN_PROGRESS
        if connection.timeout is not None:
            limit = min(limit, connection.timeout / 3)
        # The status is deprecated: ignore missing and unknown values.
        while str(file.status) in _IN_PROGRESS and limit > interval:
            connection.pause(interval)
            limit -= interval
            interval = min(interval * 1.5, 5.0)
            try:
                file = connection.client.files.retrieve(file.id)
            except APIStatusError as error:
                if error.status_code in NO_ROUTE:
                    return
                raise
        if str(file.status) in _BAD:
            reason = connection.clean(file.status_details)
            msg = (
                f"{connection.url} could not use the uploaded file {file.id}"
                f"{reason and f': {reason}'}. Check the examples and try again. "
                f"{connection.hint}"
            )
            raise FileProcessingError(msg)

    def _clean_up(self, file_ids: list[str], error: Exception) -> None:
        connection = self._connection
        if self._settings.delete_training_file and connection.hint == NOT_CREATED:
            connection.delete_files(file_ids)
        elif file_ids:
            text = f" Uploaded files were not deleted: {', '.join(file_ids)}."
            connection.hint += text
            if isinstance(error, FineTuningError):
                error.args = (error.args[0] + text,)


def _adapt(body: dict[str, Any], error: APIError) -> bool:
    """Adapt a request to a server that rejects some fields; return whether it can."""
    if "metadata" in body and rejects_field(error, "metadata"):
        del body["metadata"]
    elif "method" in body and rejects_field(error, "method", "hyperparameters"):
        # Some servers require hyperparameters in the older field.
        body |= body.pop("method")["supervised"]
    else:
        return False
    return True
