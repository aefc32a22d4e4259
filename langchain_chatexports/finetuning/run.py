"""`FineTuningRun`: follow a fine-tuning job, wait for it, and use its model."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from langchain_core.runnables.config import run_in_executor

from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
)
from langchain_chatexports.finetuning.connection import (
    RETRIEVING_JOB,
    Connection,
    Steps,
    add_jitter,
)
from langchain_chatexports.finetuning.errors import (
    NO_ROUTE,
    http_status,
    is_temporary,
    retry_after,
)
from langchain_chatexports.finetuning.settings import DATA_KEY, FineTunerSettings

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint


logger = logging.getLogger(__name__)

UNSUCCESSFUL = frozenset({"failed", "cancelled", "canceled"})
_ENDED = UNSUCCESSFUL | {"succeeded"}
_KNOWN_STATUSES = _ENDED | {"validating_files", "queued", "running"}
_DELETING = "deleting the training file"
_GROWTH = 1.5
_MAX_NOT_FOUND = 3
_MAX_NAME_POLLS = 8
_WARN_EVERY = 10


class FineTuningRun:
    """A fine-tuning job, as returned by `ChatFineTuner.submit` and `get`.

    The job continues even if you do not wait for it. Methods have async versions with
    the prefix `a` (`arefresh`, `aevents`, …); that of `wait` is `await_`.
    """

    def __init__(
        self, settings: FineTunerSettings, job: FineTuningJob, connection: Connection
    ) -> None:
        self._settings = settings
        self._origin = connection
        self._update(job, connection)

    @property
    def id(self) -> str:
        """The job's id, for `ChatFineTuner.get` after a restart."""
        return self._job.id

    @property
    def status(self) -> str:
        """The job's last known status; `refresh` updates it."""
        return str(self._job.status)

    @property
    def job(self) -> FineTuningJob:
        """The SDK's job object, as last retrieved."""
        return self._job

    def __repr__(self) -> str:
        """Show the id and the status."""
        return f"{type(self).__name__}(id={self.id!r}, status={self.status!r})"

    def refresh(self) -> Self:
        """Retrieve the job's current state, and return this run."""
        with self._reconnect(self._settings.timeout).open() as connection:
            self._update(connection.retrieve_job(self.id), connection)
        return self

    async def arefresh(self) -> Self:
        """Retrieve the job's current state."""
        return await run_in_executor(None, self.refresh)

    def events(self) -> Iterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first.

        Yields:
            The SDK's events, until the job ends.
        """
        connection = self._reconnect(None)
        yield from connection.run(self._watch(connection))

    async def aevents(self) -> AsyncIterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first."""
        connection = self._reconnect(None)
        async for event in connection.arun(self._watch(connection)):
            yield event

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the job to finish.

        Args:
            timeout: Maximum number of seconds to wait; `None` for no limit.

        Returns:
            This run, if the job succeeded.

        Raises:
            FineTuningFailedError: If the job fails.
            FineTuningCancelledError: If it is cancelled.
            FineTuningTimeoutError: After the timeout; the job continues.
            FineTuningError: If the job can no longer be retrieved.
        """
        connection = self._reconnect(timeout)
        for _ in connection.run(self.follow(connection)):
            pass
        return self

    async def await_(self, timeout: float | None = None) -> Self:  # noqa: ASYNC109
        """Wait for the job to finish; the async version of `wait`."""
        connection = self._reconnect(timeout)
        async for _ in connection.arun(self.follow(connection)):
            pass
        return self

    def cancel(self) -> str:
        """Cancel the job.

        Returns:
            The job's status afterwards; a finished job keeps its status.
        """
        with self._reconnect(self._settings.timeout).open() as connection:
            request = connection.client.fine_tuning.jobs.cancel
            try:
                job = connection.call(
                    "cancelling the job", request, **self._job_argument
                )
            except FineTuningError:
                # Servers refuse to cancel a finished job.
                job = connection.retrieve_job(self.id)
                if str(job.status) not in _ENDED:
                    raise
            self._update(job, connection)
        return self.status

    async def acancel(self) -> str:
        """Cancel the job."""
        return await run_in_executor(None, self.cancel)

    def checkpoints(self) -> list[FineTuningJobCheckpoint]:
        """Return the job's checkpoints; empty where the server keeps none."""
        with self._reconnect(self._settings.timeout).open() as connection:
            request = connection.client.fine_tuning.jobs.checkpoints.list
            try:
                with connection.translate_errors("listing the checkpoints"):
                    checkpoints = connection.iter_items(request, **self._job_argument)
                    return sorted(
                        checkpoints, key=lambda item: _number(item.step_number)
                    )
            except FineTuningError as error:
                if http_status(error) in NO_ROUTE:
                    return []
                raise

    async def acheckpoints(self) -> list[FineTuningJobCheckpoint]:
        """Return the job's checkpoints; empty where the server keeps none."""
        return await run_in_executor(None, self.checkpoints)

    def chat_model(
        self, *, checkpoint: FineTuningJobCheckpoint | str | None = None, **kwargs: Any
    ) -> ChatOpenAI:
        """Create a chat model for the tuned model on the server that trained it.

        Its `profile` comes from the server (the local server has one), falling back to
        langchain-openai's profile of the base.

        Args:
            checkpoint: One of `checkpoints`, or its model name, to use instead of the
                final model.
            **kwargs: Arguments of the chat model; they override `chat_model_kwargs`.

        Returns:
            A `ChatOpenAI`.

        Raises:
            FineTuningError: If there is no model yet.
        """
        from langchain_chatexports.finetuning.chat_model import (
            chat_model,
            model_profile,
        )

        name = getattr(checkpoint, "fine_tuned_model_checkpoint", checkpoint)
        name = name or self._job.fine_tuned_model
        if not name or (checkpoint is None and self.status != "succeeded"):
            msg = f"Job {self.id} has no model ({self.status}). Call wait() first."
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        base_model = self._job.model or self._settings.model
        data_hash = get_metadata(self._job).get(DATA_KEY)
        arguments = {**self._settings.chat_model_kwargs, **kwargs}
        if "profile" not in arguments:
            profile = (self._job.model_extra or {}).get("profile")
            arguments["profile"] = model_profile(profile, base_model)
        arguments["metadata"] = {
            "fine_tuning_job_id": self.id,
            "base_model": base_model,
            **({"training_data_sha256": data_hash} if data_hash else {}),
            **(arguments.get("metadata") or {}),
        }
        return chat_model(self._origin, str(name), base_model, **arguments)

    def delete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        with self._reconnect(self._settings.timeout).open() as connection:
            for file_id in self._files:
                _delete(_DELETING, connection.client.files, connection, file_id=file_id)

    async def adelete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        await run_in_executor(None, self.delete_training_file)

    def delete_model(self) -> None:
        """Delete the tuned model from the server."""
        name = self._job.fine_tuned_model
        if not name:
            msg = f"Job {self.id} has no model to delete ({self.status})."
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        with self._reconnect(self._settings.timeout).open() as connection:
            models = connection.client.models
            _delete("deleting the model", models, connection, model=name)

    async def adelete_model(self) -> None:
        """Delete the tuned model from the server."""
        await run_in_executor(None, self.delete_model)

    @property
    def _files(self) -> list[str]:
        return [f for f in (self._job.training_file, self._job.validation_file) if f]

    @property
    def _job_argument(self) -> dict[str, str]:
        return {"fine_tuning_job_id": self.id}

    # Polling

    def _reconnect(self, timeout: float | None) -> Connection:
        connection = self._origin.with_timeout(timeout)
        self._update(self._job, connection)
        return connection

    def _update(self, job: FineTuningJob, connection: Connection) -> None:
        self._job, get = job, f"get({job.id!r})"
        connection.job_id, connection.status = self.id, self.status
        connection.error_hint = (
            f"Job {self.id} has {self.status}: {get}.wait() returns its result."
            if self.status in _ENDED
            else f"Job {self.id} continues, and may be billed: {get}.wait() waits for "
            f"it, {get}.cancel() stops it."
        )

    def _watch(self, connection: Connection) -> Steps[None]:
        """Poll the job until it finishes, and yield its events, oldest first."""
        request = connection.unretried_client.fine_tuning.jobs.retrieve
        interval, failures, warned_status = self._settings.poll_interval, 0, ""
        seen_ids: set[str] = set()
        while True:
            pause = add_jitter(interval)
            try:
                job = connection.send(request, **self._job_argument)
            except Exception as problem:  # noqa: BLE001 - raised unless temporary
                failures += 1
                # A new job may not be found at first.
                is_unknown = http_status(problem) == 404  # noqa: PLR2004 - HTTP
                if not (is_unknown and failures < _MAX_NOT_FOUND):
                    if not is_temporary(problem):
                        error = connection.to_error(problem, RETRIEVING_JOB)
                        raise error from error.__cause__
                    pause = max(pause, retry_after(problem) or 0.0)
                if failures % _WARN_EVERY == 0:
                    text = "%d consecutive requests for job %s failed; still trying."
                    logger.warning(text, failures, self.id)
            else:
                failures = 0
                self._update(job, connection)
                yield from self._fetch_new_events(seen_ids, connection)
                if self.status in _ENDED:
                    return
                if self.status not in {warned_status, *_KNOWN_STATUSES}:
                    warned_status = self.status
                    logger.warning("Job %s is %r.", self.id, warned_status)
            remaining = connection.remaining_seconds()
            if remaining <= 0:
                raise connection.timeout_error(RETRIEVING_JOB)
            # Poll once more at the timeout.
            yield min(pause, remaining)
            interval = min(interval * _GROWTH, self._settings.max_poll_interval)

    def _fetch_new_events(
        self, seen_ids: set[str], connection: Connection
    ) -> Iterator[FineTuningJobEvent]:
        # Events are listed newest first, so read up to a known one. After an error, the
        # next poll reads the missing events.
        client = (
            connection.client if self.status in _ENDED else connection.unretried_client
        )
        new_events = []
        try:
            request = client.fine_tuning.jobs.list_events
            for event in connection.iter_items(request, **self._job_argument):
                if event.id in seen_ids:
                    break
                new_events.append(event)
        except Exception:  # noqa: BLE001 - events are optional
            return
        seen_ids.update(event.id for event in new_events)
        # The sort is stable: events of the same second keep the server's order.
        new_events.reverse()
        yield from sorted(new_events, key=lambda event: _number(event.created_at))

    def follow(self, connection: Connection) -> Steps[None]:
        """Wait for the job and its model, and yield the events."""
        for step in self._watch(connection):
            if not isinstance(step, float):
                self._settings.report_event(step)
            yield step
        if self._settings.delete_training_file:
            delete_files(self._files, connection, self.id)
        if self.status == "failed":
            raise self._failure(connection)
        if self.status != "succeeded":
            msg = (
                f"Job {self.id} was cancelled, so there is no model. Training up "
                "to that point may be billed. Run again to create a new job."
            )
            raise FineTuningCancelledError(msg, job_id=self.id, status=self.status)
        # Some servers set the status before the name.
        pause = self._settings.poll_interval
        for _ in range(_MAX_NAME_POLLS):
            if self._job.fine_tuned_model:
                break
            if pause >= connection.remaining_seconds():
                raise connection.timeout_error(RETRIEVING_JOB)
            yield pause
            pause = min(pause * 2, self._settings.max_poll_interval)
            self._update(connection.retrieve_job(self.id), connection)
        else:
            msg = (
                f"Job {self.id} succeeded, but {connection.url} does not name the "
                "model. Look for it in the server's list of models, or try "
                f"get({self.id!r}) later."
            )
            raise FineTuningError(msg, job_id=self.id, status="succeeded")
        # At first, requests for a new model may return 404.
        yield from has_model(self._job, connection)

    def _failure(self, connection: Connection) -> FineTuningFailedError:
        # If the job did not fail, this can be an object with null fields.
        error = getattr(self._job, "error", None)
        code, param, message = (
            connection.clean(getattr(error, name, None)) or None
            for name in ("code", "param", "message")
        )
        reason = "".join(f": {part}" for part in (code, message) if part)
        field = f" (field `{param}`)" if param else ""
        msg = (
            f"Job {self.id} failed{reason}{field}. There is no model. Fix the problem "
            "and run again to create a new job. Check your account page to see whether "
            "this one was billed."
        )
        return FineTuningFailedError(msg, job_id=self.id, code=code, param=param)


def get_metadata(job: Any) -> Mapping[str, Any]:
    """Return the metadata of a job; empty if the server does not store any."""
    metadata = getattr(job, "metadata", None)
    return metadata if isinstance(metadata, Mapping) else {}


def has_model(job: FineTuningJob, connection: Connection) -> Steps[bool]:
    """Return whether a succeeded job's model exists; true for other jobs."""
    models = connection.client.models
    if job.status != "succeeded" or _is_missing(models, connection, model=job.model):
        return True  # Some servers cannot retrieve models.
    for _ in range(_MAX_NOT_FOUND):
        if not _is_missing(models, connection, model=job.fine_tuned_model):
            return True
        yield 2.0  # A new model may not be found at first.
    return False


def _is_missing(resource: Any, connection: Connection, **name: str | None) -> bool:
    try:
        connection.call("checking that it exists", resource.retrieve, **name)
    except FineTuningError as error:
        return http_status(error) in NO_ROUTE
    return False


def delete_files(
    file_ids: Collection[str], connection: Connection, job_id: str | None = None
) -> None:
    """Delete uploaded files that no other job needs, and log the remaining ones."""
    client, used_ids = connection.client, set[Any]()
    with suppress(FineTuningError), connection.translate_errors(_DELETING):
        for job in connection.iter_items(client.fine_tuning.jobs.list):
            if job.id != job_id and str(job.status) not in _ENDED:
                used_ids |= {str(job.training_file), str(job.validation_file)}
    for file_id in file_ids:
        if file_id in used_ids:
            logger.warning("File %s was not deleted: another job uses it.", file_id)
            continue
        try:
            _delete(_DELETING, client.files, connection, file_id=file_id)
        except FineTuningError:
            text = "File %s could not be deleted and remains on %s."
            logger.warning(text, file_id, connection.url)


def _delete(action: str, resource: Any, connection: Connection, **name: str) -> None:
    """Delete an item of `client.files` or `client.models`; ignore missing ones."""
    try:
        connection.call(action, resource.delete, **name)
    except FineTuningError as error:
        # The item is missing, or the server does not support deletion.
        is_unknown = http_status(error) in NO_ROUTE
        if not (is_unknown and _is_missing(resource, connection, **name)):
            raise


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0
