"""`FineTuningRun`: follow a fine-tuning job, wait for it, and use its model."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Self

from openai import APIError, APIStatusError
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
)
from langchain_chatexports.finetuning.connection import (
    ENDED,
    MAX_NOT_FOUND,
    Connection,
    add_jitter,
    delete,
    each_once,
    get_metadata,
)
from langchain_chatexports.finetuning.errors import (
    NO_ROUTE,
    http_status,
    is_temporary,
    retry_after,
)
from langchain_chatexports.finetuning.settings import DATA_KEY, FineTunerSettings
from langchain_chatexports.finetuning.waiting import run_in_thread

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

logger = logging.getLogger(__name__)

_KNOWN_STATUSES = ENDED | {"validating_files", "queued", "running"}
_GROWTH = 1.5
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
        self._connection = connection
        self._job = job
        self._seen_ids: set[str] = set()
        connection.set_job(job)

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
        """Retrieve the job's current state and return this run."""
        with self._open(self._settings.timeout) as connection:
            self._retrieve(connection)
        return self

    async def arefresh(self) -> Self:
        """Retrieve the job's current state and return this run."""
        return await run_in_thread(self.refresh)

    def events(self) -> Iterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first.

        Yields:
            The SDK's events, until the job ends.
        """
        with self._open(None) as connection:
            yield from self._poll(connection, set())

    async def aevents(self) -> AsyncIterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first."""
        events = self.events()
        while event := await run_in_thread(next, events, None):
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
        with self._open(timeout) as connection:
            for _ in self._follow(connection):
                pass
        return self

    async def await_(self, timeout: float | None = None) -> Self:  # noqa: ASYNC109
        """Wait for the job to finish; the async version of `wait`."""
        return await run_in_thread(self.wait, timeout)

    def cancel(self) -> str:
        """Cancel the job.

        Returns:
            The job's status afterwards; a finished job keeps its status.
        """
        with self._open(self._settings.timeout) as connection:
            try:
                self._job = connection.client.fine_tuning.jobs.cancel(self.id)
            except APIError:
                # Servers refuse to cancel a finished job.
                self._retrieve(connection)
                if self.status not in ENDED:
                    raise
        return self.status

    async def acancel(self) -> str:
        """Cancel the job."""
        return await run_in_thread(self.cancel)

    def checkpoints(self) -> list[FineTuningJobCheckpoint]:
        """Return the job's checkpoints; empty where the server keeps none."""
        with self._open(self._settings.timeout) as connection:
            checkpoints = connection.client.fine_tuning.jobs.checkpoints
            try:
                found = each_once(checkpoints.list(self.id, limit=100))
                return sorted(found, key=lambda item: _number(item.step_number))
            except APIStatusError as error:
                if error.status_code in NO_ROUTE:
                    return []
                raise

    async def acheckpoints(self) -> list[FineTuningJobCheckpoint]:
        """Return the job's checkpoints; empty where the server keeps none."""
        return await run_in_thread(self.checkpoints)

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
        return chat_model(self._connection, str(name), base_model, **arguments)

    def delete_training_file(self) -> None:
        """Delete the training and validation files from the server."""
        with self._open(self._settings.timeout) as connection:
            for file_id in self._files:
                delete(connection.client.files, file_id)

    async def adelete_training_file(self) -> None:
        """Delete the training and validation files from the server."""
        await run_in_thread(self.delete_training_file)

    def delete_model(self) -> None:
        """Delete the tuned model from the server."""
        name = self._job.fine_tuned_model
        if not name:
            msg = f"Job {self.id} has no model to delete ({self.status})."
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        with self._open(self._settings.timeout) as connection:
            delete(connection.client.models, name)

    async def adelete_model(self) -> None:
        """Delete the tuned model from the server."""
        await run_in_thread(self.delete_model)

    @property
    def _files(self) -> list[str]:
        return [f for f in (self._job.training_file, self._job.validation_file) if f]

    @contextmanager
    def _open(self, timeout: float | None) -> Iterator[Connection]:
        connection = self._connection.with_timeout(timeout)
        connection.set_job(self._job)
        with connection.open():
            yield connection

    def _retrieve(self, connection: Connection) -> None:
        self._job = connection.client.fine_tuning.jobs.retrieve(self.id)
        connection.set_job(self._job)

    # Waiting

    def _follow(self, connection: Connection) -> Iterator[FineTuningJobEvent]:
        """Yield new events and return when the job has a model."""
        for event in self._poll(connection, self._seen_ids):
            self._settings.report_event(event)
            yield event
        if self._settings.delete_training_file:
            connection.delete_files(self._files)
        if self.status == "failed":
            raise self._failure(connection)
        if self.status != "succeeded":
            msg = (
                f"Job {self.id} was cancelled, so there is no model. Training up "
                "to that point may be billed. Run again to create a new job."
            )
            raise FineTuningCancelledError(msg, job_id=self.id, status=self.status)
        self._wait_for_name(connection)
        # At first, requests for a new model may return 404.
        connection.has_model(self._job)

    def _poll(
        self, connection: Connection, seen_ids: set[str]
    ) -> Iterator[FineTuningJobEvent]:
        """Poll the job until it ends and yield its unseen events, oldest first."""
        interval, failures, warned_status = self._settings.poll_interval, 0, ""
        while True:
            pause = add_jitter(interval)
            try:
                self._retrieve(connection)
            except APIError as error:
                failures += 1
                # A new job may not be found at first.
                is_new = http_status(error) in NO_ROUTE and failures < MAX_NOT_FOUND
                if not (is_new or is_temporary(error)):
                    raise
                pause = max(pause, retry_after(error) or 0.0)
                if failures % _WARN_EVERY == 0:
                    text = "%d consecutive requests for job %s failed; still trying."
                    logger.warning(text, failures, self.id)
            else:
                failures = 0
                yield from self._fetch_new_events(connection, seen_ids)
                if self.status in ENDED:
                    return
                if self.status not in {warned_status, *_KNOWN_STATUSES}:
                    warned_status = self.status
                    logger.warning("Job %s is %r.", self.id, warned_status)
            connection.pause(pause)
            interval = min(interval * _GROWTH, self._settings.max_poll_interval)

    def _fetch_new_events(
        self, connection: Connection, seen_ids: set[str]
    ) -> list[FineTuningJobEvent]:
        # Events are listed newest first, so read up to a known one.
        listed = connection.client.fine_tuning.jobs.list_events
        try:
            items = each_once(listed(self.id, limit=100))
            events = list(takewhile(lambda event: event.id not in seen_ids, items))
        except APIError:
            return []  # Events are optional, and the next poll reads the missing ones.
        seen_ids.update(event.id for event in events)
        # The sort is stable: events of the same second keep the server's order.
        events.reverse()
        return sorted(events, key=lambda event: _number(event.created_at))

    def _wait_for_name(self, connection: Connection) -> None:
        # Some servers report the success before the model's name.
        pause = self._settings.poll_interval
        for _ in range(_MAX_NAME_POLLS):
            if self._job.fine_tuned_model:
                return
            connection.pause(pause)
            pause = min(pause * 2, self._settings.max_poll_interval)
            self._retrieve(connection)
        msg = (
            f"Job {self.id} succeeded, but {connection.url} does not name the model. "
            f"Look for it in the server's list of models, or try get({self.id!r}) "
            "later."
        )
        raise FineTuningError(msg, job_id=self.id, status="succeeded")

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


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0
