"""`FineTuningRun`: wait for a fine-tuning job, follow it, and use its model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.connection import Deadline, run_blocking
from langchain_chatexports.finetuning.errors import Step, clean_text
from langchain_chatexports.finetuning.files import (
    copies_of,
    delete,
    delete_unused_files,
)
from langchain_chatexports.finetuning.model_profile import model_profile
from langchain_chatexports.finetuning.orders import DATA_KEY, ENDED, metadata_of
from langchain_chatexports.finetuning.watch import (
    JobWatch,
    job_continues,
    name_job_on_interrupt,
)

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterator,
    )
    from contextlib import AbstractAsyncContextManager

    from langchain_openai.chat_models.base import BaseChatOpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
    from typing_extensions import Self

    from langchain_chatexports.finetuning.clients import ServerAccess
    from langchain_chatexports.finetuning.connection import Connection
    from langchain_chatexports.finetuning.settings import FineTunerSettings

__all__ = ["FineTuningRun"]

logger = logging.getLogger(__name__)

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
        *,
        access: ServerAccess,
        scrub: Callable[[str], str],
    ) -> None:
        """Initialize the run; `ChatFineTuner.submit` and `get` do.

        Args:
            settings: Pauses, what to delete, whom to tell of events.
            job: The SDK's job.
            access: How requests and chats reach the server; pinned.
            scrub: Takes out of a server's words what is private.
        """
        self._settings = settings
        self._job = job
        self._access = access
        self._scrub = scrub

    @property
    def id(self) -> str:
        """The job's id, for `ChatFineTuner.get` after a restart."""
        return self._job.id

    @property
    def status(self) -> str:
        """The job's status as it was last seen; `refresh` asks again."""
        return clean_text(self._job.status, self._scrub)

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

    async def follow(
        self,
        connection: Connection,
        report: Callable[[FineTuningJobEvent], Awaitable[None]],
    ) -> None:
        """Wait for the job's end and pass on its events.

        Args:
            connection: The server.
            report: Gets each event.
        """
        watch = JobWatch(self._job, connection, self._settings)
        with name_job_on_interrupt(self.id, watch):
            try:
                while not watch.done:
                    for event in await watch.next_events():
                        await report(event)
                await watch.finish()
            finally:
                self._job = watch.job

    # What is asked

    def _connect(
        self, timeout: float | None, *, is_async: bool
    ) -> AbstractAsyncContextManager[Connection]:
        deadline = Deadline(self._settings.clock, timeout)
        return self._access.connect(deadline, is_async=is_async, scrub=self._scrub)

    async def _ask(
        self, action: Callable[[Connection], Awaitable[T]], *, is_async: bool
    ) -> T:
        timeout = self._settings.timeout
        async with self._connect(timeout, is_async=is_async) as connection:
            return await action(connection)

    async def _wait(self, timeout: float | None, *, is_async: bool) -> Self:
        async def report(event: FineTuningJobEvent) -> None:
            self._settings.report_event(event)

        async with self._connect(timeout, is_async=is_async) as connection:
            await self.follow(connection, report)
        return self

    async def _events(self, *, is_async: bool) -> AsyncGenerator[FineTuningJobEvent]:
        with name_job_on_interrupt(self.id):
            async with self._connect(None, is_async=is_async) as connection:
                watch = JobWatch(self._job, connection, self._settings)
                while not watch.done:
                    events = await watch.next_events()
                    self._job = watch.job
                    for event in events:
                        yield event

    def _step(self, doing: str) -> Step:
        has_ended = self.status in ENDED
        consequence = "The job has ended." if has_ended else job_continues(self.id)
        return Step(doing, consequence, self.id, self.status)

    async def _refresh(self, connection: Connection) -> Self:
        step = self._step("reading the job")
        self._job = await connection.ask(
            "fine_tuning.jobs.retrieve", step, fine_tuning_job_id=self.id
        )
        return self

    async def _cancel(self, connection: Connection) -> str:
        step, method = self._step("cancelling the job"), "fine_tuning.jobs.cancel"
        try:
            self._job = await connection.ask(method, step, fine_tuning_job_id=self.id)
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
        step = self._step("listing the checkpoints")
        method = "fine_tuning.jobs.checkpoints.list"
        listed = await connection.list_all(method, step, fine_tuning_job_id=self.id)
        return sorted(listed or (), key=_step_number)

    async def _delete_files(self, connection: Connection) -> None:
        step = self._step("deleting the training file")
        files = [f for f in (self._job.training_file, self._job.validation_file) if f]
        copies = await copies_of(files, connection)
        for file_id in files:
            await delete("files", connection, step, file_id=file_id)
        await delete_unused_files(copies, connection, self.id)

    async def _delete_model(self, connection: Connection) -> None:
        name = self._job.fine_tuned_model
        if not name:
            msg = f"Job {self.id} has no model to delete (status: {self.status})."
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        await delete("models", connection, self._step("deleting the model"), model=name)


def _step_number(checkpoint: FineTuningJobCheckpoint) -> int:
    number: object = checkpoint.step_number
    return number if isinstance(number, int) else 0
