"""`FineTuningRun`: wait for a fine-tuning job, follow it, and use its model."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import run_in_executor
from typing_extensions import Self

from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
)
from langchain_chatexports.finetuning.connection import (
    ASKING,
    Connection,
    Steps,
    jittered,
)
from langchain_chatexports.finetuning.errors import (
    NO_ROUTE,
    is_temporary,
    requested_wait,
    status_of,
)
from langchain_chatexports.finetuning.settings import DATA_KEY, FineTunerSettings

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint


logger = logging.getLogger(__name__)

UNSUCCESSFUL = frozenset({"failed", "cancelled", "canceled"})
_ENDED = UNSUCCESSFUL | {"succeeded"}
_KNOWN = _ENDED | {"validating_files", "queued", "running"}
_DELETING = "deleting the training file"
_GROWTH = 1.5
_MAX_NOT_FOUND = 3
_LOOKS_FOR_NAME = 8
_WARN_EVERY = 10


class FineTuningRun:
    """A fine-tuning job, as returned by `ChatFineTuner.submit` and `get`.

    The job continues even if you do not wait for it. Every method has an async version
    with LangChain's prefix (`arefresh`, `aevents`, `acancel`, …); that of `wait` is
    `await_`.
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
        """Retrieve the job's current state, and return the run itself."""
        with self._connection(self._settings.timeout).opened() as connection:
            self._update(connection.job(self.id), connection)
        return self

    async def arefresh(self) -> Self:
        """Retrieve the job's current state."""
        return await run_in_executor(None, self.refresh)

    def events(self) -> Iterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once.

        Yields:
            The SDK's events, until the job ends.
        """
        connection = self._connection(None)
        yield from connection.run(self._watch(connection))

    async def aevents(self) -> AsyncIterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once."""
        connection = self._connection(None)
        async for event in connection.arun(self._watch(connection)):
            yield event

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the end of the job.

        Args:
            timeout: Maximum number of seconds to wait; `None` for no limit.

        Returns:
            The run itself, if the job succeeded.

        Raises:
            FineTuningFailedError: If the job fails.
            FineTuningCancelledError: If it is cancelled.
            FineTuningTimeoutError: After the timeout; the job continues.
            FineTuningError: If the job cannot be retrieved any longer.
        """
        connection = self._connection(timeout)
        for _ in connection.run(self.follow(connection)):
            pass
        return self

    async def await_(self, timeout: float | None = None) -> Self:
        """Wait for the end of the job; the async version of `wait`."""
        connection = self._connection(timeout)
        async for _ in connection.arun(self.follow(connection)):
            pass
        return self

    def cancel(self) -> str:
        """Cancel the job.

        Returns:
            The job's status afterwards; that of an ended job does not change.
        """
        with self._connection(self._settings.timeout).opened() as connection:
            request = connection.client.fine_tuning.jobs.cancel
            try:
                job = connection.ask("cancelling the job", request, **self._named)
            except FineTuningError:
                # Servers refuse to cancel jobs that have ended.
                job = connection.job(self.id)
                if str(job.status) not in _ENDED:
                    raise
            self._update(job, connection)
        return self.status

    async def acancel(self) -> str:
        """Cancel the job."""
        return await run_in_executor(None, self.cancel)

    def checkpoints(self) -> list[FineTuningJobCheckpoint]:
        """Return the job's checkpoints; empty where the server keeps none."""
        with self._connection(self._settings.timeout).opened() as connection:
            request = connection.client.fine_tuning.jobs.checkpoints.list
            try:
                with connection.explaining("listing the checkpoints"):
                    listed = connection.items(request, **self._named)
                    return sorted(listed, key=lambda item: _number(item.step_number))
            except FineTuningError as error:
                if status_of(error) in NO_ROUTE:
                    return []
                raise

    async def acheckpoints(self) -> list[FineTuningJobCheckpoint]:
        """Return the job's checkpoints; empty where the server keeps none."""
        return await run_in_executor(None, self.checkpoints)

    def chat_model(
        self, *, checkpoint: FineTuningJobCheckpoint | str | None = None, **kwargs: Any
    ) -> ChatOpenAI:
        """Create a chat model for the tuned model on the server that trained it.

        Its `profile` is the server's (the local server has one), or langchain-openai's
        profile of the base.

        Args:
            checkpoint: One of `checkpoints`, or its model's name, to use instead of the
                final model.
            **kwargs: Arguments of the chat model, which override `chat_model_kwargs`.

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
        data_hash = metadata_of(self._job).get(DATA_KEY)
        arguments = {**self._settings.chat_model_kwargs, **kwargs}
        if "profile" not in arguments:
            given = (self._job.model_extra or {}).get("profile")
            arguments["profile"] = model_profile(given, base_model)
        arguments["metadata"] = {
            "fine_tuning_job_id": self.id,
            "base_model": base_model,
            **({"training_data_sha256": data_hash} if data_hash else {}),
            **(arguments.get("metadata") or {}),
        }
        return chat_model(self._origin, str(name), base_model, **arguments)

    def delete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        with self._connection(self._settings.timeout).opened() as connection:
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
        with self._connection(self._settings.timeout).opened() as connection:
            models = connection.client.models
            _delete("deleting the model", models, connection, model=name)

    async def adelete_model(self) -> None:
        """Delete the tuned model from the server."""
        await run_in_executor(None, self.delete_model)

    @property
    def _files(self) -> list[str]:
        return [f for f in (self._job.training_file, self._job.validation_file) if f]

    @property
    def _named(self) -> dict[str, str]:
        return {"fine_tuning_job_id": self.id}

    # Polling

    def _connection(self, timeout: float | None) -> Connection:
        connection = self._origin.with_timeout(timeout)
        self._update(self._job, connection)
        return connection

    def _update(self, job: FineTuningJob, connection: Connection) -> None:
        self._job, get = job, f"get({job.id!r})"
        connection.job_id, connection.status = self.id, self.status
        connection.consequence = (
            f"Job {self.id} has {self.status}: {get}.wait() returns its result."
            if self.status in _ENDED
            else f"Job {self.id} continues, and may cost: {get}.wait() waits for it, "
            f"{get}.cancel() stops it."
        )

    def _watch(self, connection: Connection) -> Steps[None]:
        """Poll the job until it has ended, and yield its events, oldest first."""
        request = connection.once.fine_tuning.jobs.retrieve
        interval, failures, warned = self._settings.poll_interval, 0, ""
        seen: set[str] = set()
        while True:
            pause = jittered(interval)
            try:
                job = connection.send(request, **self._named)
            except Exception as problem:  # noqa: BLE001 - raised unless temporary
                failures += 1
                # A new job may not be found at first.
                is_unknown = status_of(problem) == 404  # noqa: PLR2004 - HTTP
                if not (is_unknown and failures < _MAX_NOT_FOUND):
                    if not is_temporary(problem):
                        error = connection.error(problem, ASKING)
                        raise error from error.__cause__
                    pause = max(pause, requested_wait(problem) or 0.0)
                if failures % _WARN_EVERY == 0:
                    text = (
                        "%d requests in a row about job %s have failed; still trying."
                    )
                    logger.warning(text, failures, self.id)
            else:
                failures = 0
                self._update(job, connection)
                yield from self._new_events(seen, connection)
                if self.status in _ENDED:
                    return
                if self.status not in {warned, *_KNOWN}:
                    warned = self.status
                    logger.warning("Job %s has the status %r.", self.id, warned)
            remaining = connection.remaining()
            if remaining <= 0:
                raise connection.timed_out(ASKING)
            # The last poll is at the timeout.
            yield min(pause, remaining)
            interval = min(interval * _GROWTH, self._settings.max_poll_interval)

    def _new_events(
        self, seen: set[str], connection: Connection
    ) -> Iterator[FineTuningJobEvent]:
        # The list is newest first, so read up to a known event. After an error, the
        # next poll reads the missing ones.
        client = connection.client if self.status in _ENDED else connection.once
        new = []
        try:
            request = client.fine_tuning.jobs.list_events
            for event in connection.items(request, **self._named):
                if event.id in seen:
                    break
                new.append(event)
        except Exception:  # noqa: BLE001 - events are optional
            return
        seen.update(event.id for event in new)
        # A stable sort: events of one second keep the server's order.
        new.reverse()
        yield from sorted(new, key=lambda event: _number(event.created_at))

    def follow(self, connection: Connection) -> Steps[None]:
        """Wait for the end of the job and for its model, and yield the events."""
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
                f"Job {self.id} was cancelled, so there is no model. The training "
                "until then may be billed. Run again to create a new job."
            )
            raise FineTuningCancelledError(msg, job_id=self.id, status=self.status)
        # Some servers set the status before the name.
        pause = self._settings.poll_interval
        for _ in range(_LOOKS_FOR_NAME):
            if self._job.fine_tuned_model:
                break
            if pause >= connection.remaining():
                raise connection.timed_out(ASKING)
            yield pause
            pause = min(pause * 2, self._settings.max_poll_interval)
            self._update(connection.job(self.id), connection)
        else:
            msg = (
                f"Job {self.id} succeeded, but {connection.url} does not name its "
                "model. It has been paid for: look in the server's own list of models, "
                f"or ask again later with get({self.id!r})."
            )
            raise FineTuningError(msg, job_id=self.id, status="succeeded")
        # At first, chats with a new model may return 404.
        yield from has_model(self._job, connection)

    def _failure(self, connection: Connection) -> FineTuningFailedError:
        # Only read after a failure: otherwise it may be an object of nulls.
        error = getattr(self._job, "error", None)
        code, param, message = (
            connection.clean(getattr(error, name, None)) or None
            for name in ("code", "param", "message")
        )
        reason = "".join(f": {part}" for part in (code, message) if part)
        about = f" (about `{param}`)" if param else ""
        msg = (
            f"Job {self.id} failed{reason}{about}. There is no model. Correct what it "
            "reports and run again, which creates a new job. The server's account page "
            "says whether this one is billed."
        )
        return FineTuningFailedError(msg, job_id=self.id, code=code, param=param)


def metadata_of(job: Any) -> Mapping[str, Any]:
    """Return the metadata of a job; empty if the server does not store it."""
    metadata = getattr(job, "metadata", None)
    return metadata if isinstance(metadata, Mapping) else {}


def has_model(job: FineTuningJob, connection: Connection) -> Steps[bool]:
    """Return whether the model of a succeeded job exists; true for other jobs."""
    models = connection.client.models
    if job.status != "succeeded" or _is_missing(models, connection, model=job.model):
        return True  # Some servers have no route for models.
    for _ in range(_MAX_NOT_FOUND):
        if not _is_missing(models, connection, model=job.fine_tuned_model):
            return True
        yield 2.0  # A new model may not be found at first.
    return False


def _is_missing(things: Any, connection: Connection, **name: str | None) -> bool:
    try:
        connection.ask("looking it up", things.retrieve, **name)
    except FineTuningError as error:
        return status_of(error) in NO_ROUTE
    return False


def delete_files(
    file_ids: Collection[str], connection: Connection, job_id: str | None = None
) -> None:
    """Delete uploaded files that no other job needs, and log those that remain."""
    client, needed = connection.client, set[Any]()
    with suppress(FineTuningError), connection.explaining(_DELETING):
        for job in connection.items(client.fine_tuning.jobs.list):
            if job.id != job_id and str(job.status) not in _ENDED:
                needed |= {str(job.training_file), str(job.validation_file)}
    for file_id in file_ids:
        if file_id in needed:
            logger.warning("The training file %s stays: another job uses it.", file_id)
            continue
        try:
            _delete(_DELETING, client.files, connection, file_id=file_id)
        except FineTuningError:
            text = "The training file %s could not be deleted and is still at %s."
            logger.warning(text, file_id, connection.url)


def _delete(doing: str, things: Any, connection: Connection, **name: str) -> None:
    """Delete an item of `client.files` or `client.models`; ignore missing ones."""
    try:
        connection.ask(doing, things.delete, **name)
    except FineTuningError as error:
        # The item is missing, or the server does not support deletion.
        is_unknown = status_of(error) in NO_ROUTE
        if not (is_unknown and _is_missing(things, connection, **name)):
            raise


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0
