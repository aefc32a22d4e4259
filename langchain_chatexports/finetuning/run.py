"""`FineTuningRun`: wait for a fine-tuning job, follow it, and use its model."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
)
from langchain_chatexports.finetuning.connection import (
    Deadline,
    connect,
    run_blocking,
)
from langchain_chatexports.finetuning.errors import (
    BAD_REQUEST,
    MAX_RETRY_AFTER,
    NO_ROUTE,
    Situation,
    clean_text,
    is_temporary,
    requested_wait,
    status_of,
)
from langchain_chatexports.finetuning.jobs import (
    delete,
    delete_files,
    warn_of_shutdown,
)
from langchain_chatexports.finetuning.model_profile import model_profile
from langchain_chatexports.finetuning.orders import ENDED, metadata_of
from langchain_chatexports.finetuning.settings import DATA_KEY

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
    )

    from langchain_openai.chat_models.base import BaseChatOpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
    from typing_extensions import Self

    from langchain_chatexports.finetuning.connection import Connection
    from langchain_chatexports.finetuning.settings import FineTunerSettings

__all__ = ["FineTuningRun"]

logger = logging.getLogger(__name__)

_RETRIEVE = "fine_tuning.jobs.retrieve"
_GROWTH = 1.5
_NOT_FOUND = 404
_MAX_NOT_FOUND = 3
_LOOKS_FOR_NAME = 8
_WARN_EVERY = 10
_LAST_EVENTS = 3
_KNOWN = ENDED | {"validating_files", "queued", "running"}

T = TypeVar("T")


class FineTuningRun:
    """One job on the server, as `ChatFineTuner.submit` and `get` return it.

    The job continues whether or not anybody waits for it. Every method has an async
    twin with LangChain's prefix: `arefresh`, `aevents`, `acancel`, and so on; that of
    `wait` is `await_`.
    """

    def __init__(
        self,
        settings: FineTunerSettings,
        job: FineTuningJob,
        connection: Connection,
    ) -> None:
        self._settings = settings
        self._job = job
        self._access = connection.access
        self._scrub = connection.scrub

    @property
    def id(self) -> str:
        """The job's id, for `ChatFineTuner.get` after a restart."""
        return self._job.id

    @property
    def status(self) -> str:
        """The job's status as it was last seen; `refresh` asks again."""
        status = str(self._job.status)
        # A known one is not private, though it may be a text of the examples, too.
        return status if status in _KNOWN else clean_text(status, self._scrub)

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
            f"A run cannot be pickled. Keep its id, {self.id!r}, and take it up again "
            "with ChatFineTuner.get(id)."
        )
        raise TypeError(msg)

    def refresh(self) -> Self:
        """Ask the server for the job's present state.

        Returns:
            The run itself.
        """
        return run_blocking(self._ask(self._refresh, is_async=False))

    async def arefresh(self) -> Self:
        """Ask the server for the job's present state."""
        return await self._ask(self._refresh, is_async=True)

    def events(self) -> Iterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once.

        Yields:
            The SDK's events; ends with the job, however it ends.
        """
        events = self._events(is_async=False)
        try:
            while True:
                try:
                    event = run_blocking(events.__anext__())
                except StopAsyncIteration:
                    return
                yield event
        finally:
            run_blocking(events.aclose())

    def aevents(self) -> AsyncIterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once."""
        return self._events(is_async=True)

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the job's end.

        Args:
            timeout: Seconds to wait at most; without end if `None`.

        Returns:
            The run itself, succeeded.

        Raises:
            FineTuningFailedError: If the job fails.
            FineTuningCancelledError: If it is cancelled.
            FineTuningTimeoutError: If the time is over; the job goes on.
            FineTuningError: If the server does not let us wait any longer.
        """
        return run_blocking(self._wait(timeout, is_async=False))

    async def await_(self, timeout: float | None = None) -> Self:
        """Wait for the job's end; the twin of `wait`."""
        return await self._wait(timeout, is_async=True)

    def cancel(self) -> str:
        """Stop the job.

        Returns:
            The job's status afterwards; a job that has ended keeps its own.
        """
        return run_blocking(self._ask(self._cancel, is_async=False))

    async def acancel(self) -> str:
        """Stop the job."""
        return await self._ask(self._cancel, is_async=True)

    def checkpoints(self) -> list[FineTuningJobCheckpoint]:
        """List the job's checkpoints; empty where the server keeps none."""
        return run_blocking(self._ask(self._checkpoints, is_async=False))

    async def acheckpoints(self) -> list[FineTuningJobCheckpoint]:
        """List the job's checkpoints; empty where the server keeps none."""
        return await self._ask(self._checkpoints, is_async=True)

    def chat_model(
        self, *, checkpoint: FineTuningJobCheckpoint | str | None = None, **kwargs: Any
    ) -> BaseChatOpenAI:
        """Build a chat model that asks the tuned model on the server that trained it.

        Its `profile` is what the server says of the model (the local server does), or
        what langchain-openai knows of the base.

        Args:
            checkpoint: One of `checkpoints`, or its model's name, to ask instead of the
                final model.
            **kwargs: Arguments of the chat model, over `chat_model_kwargs`. On Azure:
                `azure_deployment`.

        Returns:
            A `ChatOpenAI`; for Azure's client an `AzureChatOpenAI`.

        Raises:
            FineTuningError: If there is no model yet.
        """
        name = getattr(checkpoint, "fine_tuned_model_checkpoint", checkpoint)
        name = name or self._job.fine_tuned_model
        if not name or (checkpoint is None and self.status != "succeeded"):
            msg = (
                f"Job {self.id} has no model (status: {self.status}). Call wait() "
                "first."
            )
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        base_model = self._job.model or self._settings.model
        said = (self._job.model_extra or {}).get("profile")
        arguments = {
            "profile": model_profile(said, base_model),
            **self._settings.chat_model_kwargs,
            **kwargs,
        }
        data_hash = metadata_of(self._job).get(DATA_KEY)
        arguments["metadata"] = {
            "fine_tuning_job_id": self.id,
            "base_model": base_model,
            **({"training_data_sha256": data_hash} if data_hash else {}),
            **(arguments.get("metadata") or {}),
        }
        return self._access.chat_model(str(name), base_model=base_model, **arguments)

    def delete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        run_blocking(self._ask(self._delete_files, is_async=False))

    async def adelete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        await self._ask(self._delete_files, is_async=True)

    def delete_model(self) -> None:
        """Delete the tuned model from the server."""
        run_blocking(self._ask(self._delete_model, is_async=False))

    async def adelete_model(self) -> None:
        """Delete the tuned model from the server."""
        await self._ask(self._delete_model, is_async=True)

    # What is asked

    async def _ask(
        self, action: Callable[[Connection], Awaitable[T]], *, is_async: bool
    ) -> T:
        timeout = self._settings.timeout
        async with self._connect(timeout, is_async=is_async) as connection:
            return await action(connection)

    @asynccontextmanager
    async def _connect(
        self, timeout: float | None, *, is_async: bool
    ) -> AsyncIterator[Connection]:
        deadline = Deadline(self._settings.clock, timeout)
        async with connect(
            self._access, deadline, is_async=is_async, scrub=self._scrub
        ) as connection:
            self._see(self._job, connection)
            yield connection

    def _see(self, job: FineTuningJob, connection: Connection) -> None:
        self._job, name = job, job.id
        consequence = (
            f"Job {name} goes on, and may cost: get({name!r}).wait() waits for it "
            f"again, get({name!r}).cancel() stops it."
        )
        if self.status in ENDED:
            consequence = (
                f"Job {name} has {self.status}: get({name!r}).wait() gives its result."
            )
        connection.situation = Situation(consequence, name, self.status)

    async def _refresh(self, connection: Connection) -> Self:
        job = await connection.ask(_RETRIEVE, fine_tuning_job_id=self.id)
        self._see(job, connection)
        return self

    async def _cancel(self, connection: Connection) -> str:
        try:
            job = await connection.ask(
                "fine_tuning.jobs.cancel", fine_tuning_job_id=self.id
            )
            self._see(job, connection)
        except FineTuningError as error:
            # Servers refuse to cancel what has ended.
            await self._refresh(connection)
            if self.status not in ENDED:
                raise
            logger.info("Job %s had ended (%s): %s", self.id, self.status, error)
        return self.status

    async def _checkpoints(
        self, connection: Connection
    ) -> list[FineTuningJobCheckpoint]:
        method = "fine_tuning.jobs.checkpoints.list"
        listed = await connection.list_all(method, fine_tuning_job_id=self.id)
        return sorted(listed or (), key=lambda item: _number(item.step_number))

    @property
    def _files(self) -> list[str]:
        return [f for f in (self._job.training_file, self._job.validation_file) if f]

    async def _delete_files(self, connection: Connection) -> None:
        await delete_files(self._files, connection, self.id, strictly=True)

    async def _delete_model(self, connection: Connection) -> None:
        name = self._job.fine_tuned_model
        if not name:
            msg = f"Job {self.id} has no model to delete (status: {self.status})."
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        await delete("models", connection, model=name)

    # Waiting

    async def _wait(self, timeout: float | None, *, is_async: bool) -> Self:
        async with self._connect(timeout, is_async=is_async) as connection:
            return await self.follow(connection)

    async def _events(self, *, is_async: bool) -> AsyncGenerator[FineTuningJobEvent]:
        async with self._connect(None, is_async=is_async) as connection:
            with connection.explaining_interrupts():
                async for event in self._watch(connection):
                    yield event

    async def _watch(
        self, connection: Connection
    ) -> AsyncGenerator[FineTuningJobEvent]:
        # Look at the job until it has ended, and yield its new events, oldest first.
        interval, failures, warned = self._settings.poll_interval, 0, ""
        seen: set[str] = set()
        has_events = True
        self._see(self._job, connection)
        while True:
            problem: Exception | None = None
            try:
                job = await connection.call(_RETRIEVE, fine_tuning_job_id=self.id)
            except Exception as error:  # noqa: BLE001 - sorted by `_tolerate`
                problem = error
            if problem is not None:
                failures += 1
                await self._tolerate(problem, failures, connection)
            else:
                failures = 0
                self._see(job, connection)
                new = await self._new_events(seen, connection) if has_events else None
                has_events = new is not None
                for event in new or ():
                    yield event
                if self.status in ENDED:
                    return
                if self.status not in {warned, *_KNOWN}:
                    warned = self.status
                    logger.warning("Job %s has the status %r.", self.id, warned)
            remaining = connection.deadline.remaining()
            if remaining <= 0:
                raise connection.timed_out(_RETRIEVE)
            # The last look is at the deadline itself.
            await connection.sleep(min(interval * connection.clock.jitter(), remaining))
            interval = min(interval * _GROWTH, self._settings.max_poll_interval)

    async def _tolerate(
        self, problem: Exception, failures: int, connection: Connection
    ) -> None:
        # A temporary error never ends the waiting by itself.
        is_hidden = status_of(problem) == _NOT_FOUND and failures < _MAX_NOT_FOUND
        if not is_temporary(problem) and not is_hidden:
            raise connection.error(problem, _RETRIEVE)
        if asked := requested_wait(problem):
            if asked > min(MAX_RETRY_AFTER, connection.deadline.remaining()):
                raise connection.error(problem, _RETRIEVE, wait=asked)
            await connection.sleep(asked)
        if failures % _WARN_EVERY == 0:
            text = "%d requests in a row about job %s have failed (%s); still trying."
            logger.warning(text, failures, self.id, type(problem).__name__)

    async def _new_events(
        self, seen: set[str], connection: Connection
    ) -> list[FineTuningJobEvent] | None:
        # Newest first, and `after` goes to older ones: page until a known one.
        try:
            events = await connection.list_all(
                "fine_tuning.jobs.list_events",
                missing=NO_ROUTE | BAD_REQUEST,
                name_of=_event_id,
                known=seen,
                # The next look makes up for what this one misses, if there is one.
                retries=self.status in ENDED,
                fine_tuning_job_id=self.id,
            )
        except Exception:  # noqa: BLE001 - progress is not worth an end
            return []
        seen.update(str(_event_id(event)) for event in events or ())
        if events is None:
            return None
        oldest_first = events[::-1]
        # Stable: what happened in one second stays in the server's order.
        return sorted(oldest_first, key=lambda event: _number(event.created_at))

    async def follow(
        self,
        connection: Connection,
        report: Callable[[FineTuningJobEvent], Awaitable[None]] | None = None,
    ) -> Self:
        """Wait for the job's end and its model; `report` and `on_event` get its events.

        Returns:
            The run itself, succeeded.
        """
        last: deque[FineTuningJobEvent] = deque(maxlen=_LAST_EVENTS)
        with connection.explaining_interrupts():
            async for event in self._watch(connection):
                last.append(event)
                self._settings.report_event(event)
                if report is not None:
                    await report(event)
            if self._settings.delete_training_file:
                await delete_files(self._files, connection, self.id)
            if self.status == "failed":
                raise self._failure(last, connection)
            if self.status != "succeeded":
                msg = (
                    f"Fine-tuning job {self.id} was cancelled, so there is no model. "
                    "What it trained until then may be billed. Run again to order a "
                    "new job."
                )
                raise FineTuningCancelledError(msg, job_id=self.id, status=self.status)
            await self._await_model(connection)
        return self

    async def _await_model(self, connection: Connection) -> None:
        # Some servers set the status a moment before the name.
        async def name() -> str | None:
            return (await self._refresh(connection)).job.fine_tuned_model

        pause, limit = self._settings.poll_interval, self._settings.max_poll_interval
        pauses = [min(pause * 2**n, limit) for n in range(_LOOKS_FOR_NAME)]
        if not self._job.fine_tuned_model and not await connection.look(
            name, pauses, _RETRIEVE
        ):
            msg = (
                f"Fine-tuning job {self.id} succeeded, but {connection.server} does "
                "not name its model. It has been paid for: look in the server's own "
                f"list of models, or ask again later with get({self.id!r})."
            )
            raise FineTuningError(msg, job_id=self.id, status="succeeded")
        # The first chats with a new model can be a 404. Servers without such a list, or
        # with trouble, are no reason to withhold the model.
        with suppress(FineTuningError):
            model = await connection.look(
                lambda: connection.ask(
                    "models.retrieve",
                    missing={_NOT_FOUND},
                    model=self._job.fine_tuned_model,
                ),
                (0, *[min(pause, 2.0)] * (_MAX_NOT_FOUND - 1)),
                "models.retrieve",
            )
            warn_of_shutdown(model, connection.clock.today())

    def _failure(
        self, last: Iterable[FineTuningJobEvent], connection: Connection
    ) -> FineTuningFailedError:
        clean = connection.clean
        # Only now: the field can be an object of nulls while all is well.
        error = getattr(self._job, "error", None)
        code, param, said = (
            clean(getattr(error, name, None)) or None
            for name in ("code", "param", "message")
        )
        parts = [part for part in (code, said) if part]
        reason = f": {': '.join(parts)}" if parts else ""
        about = f" (about `{param}`)" if param else ""
        texts = [clean(e.message) for e in last if e.level in ("warn", "error")]
        texts = [text for text in texts if text and text != said]
        also = f" Its last events: {'; '.join(texts)}." if texts else ""
        msg = (
            f"Fine-tuning job {self.id} failed{reason}{about}.{also} There is no "
            "model. Correct what it complains about and run again: a failed job is not "
            "taken up again, so that is a new order. The server's account page says "
            "whether this one is billed."
        )
        return FineTuningFailedError(msg, job_id=self.id, code=code, param=param)


def _event_id(event: Any) -> str | None:
    # What is no event at all has none of its fields.
    if not hasattr(event, "message"):
        return None
    return str(event.id or (event.created_at, event.message, event.data))


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0
