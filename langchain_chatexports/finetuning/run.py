"""`FineTuningRun`: wait for a fine-tuning job, follow it, and use its model."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

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
    """One job on the server, as `ChatFineTuner.submit` and `get` return it.

    The job continues whether or not anybody waits for it. Every method has an async
    twin with LangChain's prefix: `arefresh`, `aevents`, `acancel`, and so on; that of
    `wait` is `await_`.
    """

    def __init__(
        self, settings: FineTunerSettings, job: FineTuningJob, connection: Connection
    ) -> None:
        self._settings = settings
        self._origin = connection
        self._see(job, connection)

    @property
    def id(self) -> str:
        """The job's id, for `ChatFineTuner.get` after a restart."""
        return self._job.id

    @property
    def status(self) -> str:
        """The job's status as it was last seen; `refresh` asks again."""
        status = str(self._job.status)
        return status if status in _KNOWN else self._origin.clean(status)

    @property
    def job(self) -> FineTuningJob:
        """The SDK's job as it was last seen."""
        return self._job

    def __repr__(self) -> str:
        """Show the id and the status."""
        return f"{type(self).__name__}(id={self.id!r}, status={self.status!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: there are clients and a key in it."""
        msg = (
            f"A run cannot be pickled. Store its id, {self.id!r}, and use "
            "ChatFineTuner.get(id)."
        )
        raise TypeError(msg)

    def refresh(self) -> Self:
        """Ask the server for the job's present state, and return the run itself."""
        with self._connection(self._settings.timeout).opened() as connection:
            self._see(connection.job(self.id), connection)
        return self

    async def arefresh(self) -> Self:
        """Ask the server for the job's present state."""
        return await run_in_executor(None, self.refresh)

    def events(self) -> Iterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once.

        Yields:
            The SDK's events; ends with the job, however it ends.
        """
        connection = self._connection(None)
        yield from connection.paced(self._watch(connection))

    async def aevents(self) -> AsyncIterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once."""
        connection = self._connection(None)
        async for event in connection.apaced(self._watch(connection)):
            yield event

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the job's end.

        Args:
            timeout: Seconds to wait at most; without end if `None`.

        Returns:
            The run itself, succeeded.

        Raises:
            FineTuningFailedError: If the job fails.
            FineTuningCancelledError: If it is cancelled.
            FineTuningTimeoutError: If the time is over; the job continues.
            FineTuningError: If the server does not let us wait any longer.
        """
        connection = self._connection(timeout)
        for _ in connection.paced(self.follow(connection)):
            pass
        return self

    async def await_(self, timeout: float | None = None) -> Self:
        """Wait for the job's end; the twin of `wait`."""
        connection = self._connection(timeout)
        async for _ in connection.apaced(self.follow(connection)):
            pass
        return self

    def cancel(self) -> str:
        """Stop the job.

        Returns:
            The job's status afterwards; a job that has ended keeps its own.
        """
        with self._connection(self._settings.timeout).opened() as connection:
            request = connection.client.fine_tuning.jobs.cancel
            try:
                job = connection.ask("cancelling the job", request, **self._named)
            except FineTuningError:
                # Servers refuse to cancel what has ended.
                job = connection.job(self.id)
                if str(job.status) not in _ENDED:
                    raise
            self._see(job, connection)
        return self.status

    async def acancel(self) -> str:
        """Stop the job."""
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
        """Build a chat model that asks the tuned model on the server that trained it.

        Its `profile` is what the server says of the model (the local server does), or
        what langchain-openai knows of the base.

        Args:
            checkpoint: One of `checkpoints`, or its model's name, to ask instead of the
                final model.
            **kwargs: Arguments of the chat model, over `chat_model_kwargs`.

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

    # What the job is doing

    def _connection(self, timeout: float | None) -> Connection:
        connection = self._origin.again(timeout)
        self._see(self._job, connection)
        return connection

    def _see(self, job: FineTuningJob, connection: Connection) -> None:
        self._job, get = job, f"get({job.id!r})"
        connection.job_id, connection.status = self.id, self.status
        connection.consequence = (
            f"Job {self.id} has {self.status}: {get}.wait() gives its result."
            if self.status in _ENDED
            else f"Job {self.id} continues, and may cost: {get}.wait() waits for it "
            f"again, {get}.cancel() stops it."
        )

    def _watch(self, connection: Connection) -> Steps[None]:
        """Ask for the job until it has ended, and yield its events, oldest first."""
        request = connection.once.fine_tuning.jobs.retrieve
        interval, failures, warned = self._settings.poll_interval, 0, ""
        seen: set[str] = set()
        while True:
            pause = jittered(interval)
            try:
                job = connection.send(request, **self._named)
            except Exception as problem:  # noqa: BLE001 - only a temporary one is passed
                failures += 1
                # A new job may be unknown for a moment.
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
                self._see(job, connection)
                yield from self._new_events(seen, connection)
                if self.status in _ENDED:
                    return
                if self.status not in {warned, *_KNOWN}:
                    warned = self.status
                    logger.warning("Job %s has the status %r.", self.id, warned)
            remaining = connection.remaining()
            if remaining <= 0:
                raise connection.timed_out(ASKING)
            # The last look is at the timeout itself.
            yield min(pause, remaining)
            interval = min(interval * _GROWTH, self._settings.max_poll_interval)

    def _new_events(
        self, seen: set[str], connection: Connection
    ) -> Iterator[FineTuningJobEvent]:
        # Newest first, and `after` goes to older ones: read until a known one.
        # The next look makes up for what this one misses, if there is one.
        client = connection.client if self.status in _ENDED else connection.once
        new = []
        try:
            request = client.fine_tuning.jobs.list_events
            for event in connection.items(request, **self._named):
                if event.id in seen:
                    break
                new.append(event)
        except Exception:  # noqa: BLE001 - progress is not worth an end
            return
        seen.update(event.id for event in new)
        # Stable: what happened in one second stays in the server's order.
        new.reverse()
        yield from sorted(new, key=lambda event: _number(event.created_at))

    def follow(self, connection: Connection) -> Steps[None]:
        """Wait for the job's end and its model; yield the events on the way."""
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
                f"Job {self.id} was cancelled, so there is no model. What it trained "
                "until then may be billed. Run again to create a new job."
            )
            raise FineTuningCancelledError(msg, job_id=self.id, status=self.status)
        # Some servers set the status a moment before the name.
        pause = self._settings.poll_interval
        for _ in range(_LOOKS_FOR_NAME):
            if self._job.fine_tuned_model:
                break
            if pause >= connection.remaining():
                raise connection.timed_out(ASKING)
            yield pause
            pause = min(pause * 2, self._settings.max_poll_interval)
            self._see(connection.job(self.id), connection)
        else:
            msg = (
                f"Job {self.id} succeeded, but {connection.url} does not name its "
                "model. It has been paid for: look in the server's own list of models, "
                f"or ask again later with get({self.id!r})."
            )
            raise FineTuningError(msg, job_id=self.id, status="succeeded")
        # The first chats with a new model can be a 404.
        yield from has_model(self._job, connection)

    def _failure(self, connection: Connection) -> FineTuningFailedError:
        # Only now: the field can be an object of nulls while all is well.
        error = getattr(self._job, "error", None)
        code, param, said = (
            connection.clean(getattr(error, name, None)) or None
            for name in ("code", "param", "message")
        )
        reason = "".join(f": {part}" for part in (code, said) if part)
        about = f" (about `{param}`)" if param else ""
        msg = (
            f"Job {self.id} failed{reason}{about}. There is no model. Correct what it "
            "reports and run again, which creates a new job. The server's account page "
            "says whether this one is billed."
        )
        return FineTuningFailedError(msg, job_id=self.id, code=code, param=param)


def metadata_of(job: Any) -> Mapping[str, Any]:
    """Return the labels of the SDK's job; none where the server keeps none."""
    metadata = getattr(job, "metadata", None)
    return metadata if isinstance(metadata, Mapping) else {}


def has_model(job: FineTuningJob, connection: Connection) -> Steps[bool]:
    """Return whether the model of a succeeded job is there, or of another will be."""
    models = connection.client.models
    if job.status != "succeeded" or _is_missing(models, connection, model=job.model):
        return True  # Some servers know no models at all.
    for _ in range(_MAX_NOT_FOUND):
        if not _is_missing(models, connection, model=job.fine_tuned_model):
            return True
        yield 2.0  # A new model may need a moment.
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
    """Delete uploaded files that no other job needs, and warn of those that stay."""
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
    """Delete one of `client.files` or `client.models`; one that is gone is no error."""
    try:
        connection.ask(doing, things.delete, **name)
    except FineTuningError as error:
        # It is gone, or the server cannot delete: only a look can tell.
        is_unknown = status_of(error) in NO_ROUTE
        if not (is_unknown and _is_missing(things, connection, **name)):
            raise


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0
