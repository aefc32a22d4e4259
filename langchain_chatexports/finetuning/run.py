"""A fine-tuning job that was ordered: wait for it, follow it, use what comes of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.clock import Deadline
from langchain_chatexports.finetuning.errors import Situation, clean_text
from langchain_chatexports.finetuning.files import (
    copies_of,
    delete,
    delete_unused_files,
)
from langchain_chatexports.finetuning.orders import DATA_KEY, ENDED, metadata_of
from langchain_chatexports.finetuning.requests import (
    Requests,
    arun,
    ask,
    list_all,
    run,
)
from langchain_chatexports.finetuning.watch import (
    JobWatch,
    job_continues,
    name_job_on_interrupt,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from langchain_openai.chat_models.base import BaseChatOpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
    from typing_extensions import Self

    from langchain_chatexports.finetuning.clients import ServerAccess
    from langchain_chatexports.finetuning.settings import FineTunerSettings

__all__ = ["FineTuningRun"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class FineTuningRun:
    """One job on the server, as `ChatFineTuner.submit` and `get` return it.

    The job goes on whether or not anybody waits for it. Every method has an async twin
    with LangChain's prefix: `arefresh`, `aevents`, `acancel`, and so on; that of `wait`
    is `await_`.
    """

    def __init__(
        self,
        settings: FineTunerSettings,
        job: FineTuningJob,
        *,
        base: Situation,
        access: ServerAccess,
    ) -> None:
        """Made by `ChatFineTuner.submit` and `ChatFineTuner.get`.

        Args:
            settings: Pauses, what to delete, whom to tell of events.
            job: The SDK's job.
            base: The server, and what to scrub from errors.
            access: How requests and chats reach the server; pinned.
        """
        self._settings = settings
        self._job = job
        self._base = base
        self._access = access
        self._clock = settings.clock

    @property
    def id(self) -> str:
        """The job's id, for `ChatFineTuner.get` after a restart."""
        return self._job.id

    @property
    def status(self) -> str:
        """The job's status as it was last seen; `refresh` asks again."""
        return clean_text(self._job.status, self._base.scrub)

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
        self._job = self._run(self._retrieve())
        return self

    async def arefresh(self) -> Self:
        """Ask the server for the job's present state."""
        self._job = await self._arun(self._retrieve())
        return self

    def events(self) -> Iterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once.

        Yields:
            The SDK's events; ends with the job, however it ends.
        """
        watch = self._watch(Deadline(self._clock, None))
        with name_job_on_interrupt(self.id), self._access.client() as client:
            while not watch.done:
                yield from self._round(watch, client)

    async def aevents(self) -> AsyncIterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once."""
        watch = self._watch(Deadline(self._clock, None))
        with name_job_on_interrupt(self.id):
            async with self._access.async_client() as client:
                while not watch.done:
                    for event in await self._around(watch, client):
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
            FineTuningTimeoutError: If the time is over; the job goes on.
            FineTuningError: If the server does not let us wait any longer.
        """
        deadline = Deadline(self._clock, timeout)
        with self._access.client(deadline) as client:
            self.follow(client, deadline, self._settings.report_event)
        return self

    async def await_(self, timeout: float | None = None) -> Self:
        """Wait for the job's end; the twin of `wait`."""

        async def report(event: FineTuningJobEvent) -> None:
            self._settings.report_event(event)

        deadline = Deadline(self._clock, timeout)
        async with self._access.async_client(deadline) as client:
            await self.afollow(client, deadline, report)
        return self

    def cancel(self) -> str:
        """Stop the job.

        Returns:
            The job's status afterwards; a job that has ended keeps its own.
        """
        self._job = self._run(self._cancel())
        return self.status

    async def acancel(self) -> str:
        """Stop the job."""
        self._job = await self._arun(self._cancel())
        return self.status

    def checkpoints(self) -> list[FineTuningJobCheckpoint]:
        """List the job's checkpoints; empty where the server keeps none."""
        return self._run(self._checkpoints())

    async def acheckpoints(self) -> list[FineTuningJobCheckpoint]:
        """List the job's checkpoints; empty where the server keeps none."""
        return await self._arun(self._checkpoints())

    def chat_model(
        self, *, checkpoint: FineTuningJobCheckpoint | str | None = None, **kwargs: Any
    ) -> BaseChatOpenAI:
        """Build a chat model that asks the tuned model on the server that trained it.

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
        arguments = {**self._settings.chat_model_kwargs, **kwargs}
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
        self._run(self._delete_files())

    async def adelete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        await self._arun(self._delete_files())

    def delete_model(self) -> None:
        """Delete the tuned model from the server."""
        self._run(self._delete_model())

    async def adelete_model(self) -> None:
        """Delete the tuned model from the server."""
        await self._arun(self._delete_model())

    def follow(
        self,
        client: Any,
        deadline: Deadline,
        report: Callable[[FineTuningJobEvent], None],
    ) -> None:
        """Wait for the job's end and hand on its events.

        Args:
            client: The SDK's client.
            deadline: When to give up.
            report: Gets each event.
        """
        watch = self._watch(deadline)
        with name_job_on_interrupt(self.id, watch):
            while not watch.done:
                for event in self._round(watch, client):
                    report(event)
            self._job = run(self._finish(watch), client, self._clock)

    async def afollow(
        self,
        client: Any,
        deadline: Deadline,
        report: Callable[[FineTuningJobEvent], Awaitable[None]],
    ) -> None:
        """Wait for the job's end and hand on its events."""
        watch = self._watch(deadline)
        with name_job_on_interrupt(self.id, watch):
            while not watch.done:
                for event in await self._around(watch, client):
                    await report(event)
            self._job = await arun(self._finish(watch), client, self._clock)

    # What is asked

    def _watch(self, deadline: Deadline) -> JobWatch:
        return JobWatch(
            self._job,
            self._base.with_(deadline=deadline),
            interval=self._settings.poll_interval,
            max_interval=self._settings.max_poll_interval,
        )

    def _round(self, watch: JobWatch, client: Any) -> list[Any]:
        events = run(watch.next_round(), client, self._clock)
        self._job = watch.job
        return events

    async def _around(self, watch: JobWatch, client: Any) -> list[Any]:
        events = await arun(watch.next_round(), client, self._clock)
        self._job = watch.job
        return events

    def _finish(self, watch: JobWatch) -> Requests[Any]:
        return watch.finish(delete_training_file=self._settings.delete_training_file)

    def _run(self, requests: Requests[T]) -> T:
        with self._access.client(self._deadline()) as client:
            return run(requests, client, self._clock)

    async def _arun(self, requests: Requests[T]) -> T:
        async with self._access.async_client(self._deadline()) as client:
            return await arun(requests, client, self._clock)

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._settings.timeout)

    def _while(self, doing: str) -> Situation:
        has_ended = self.status in ENDED
        return self._base.with_(
            deadline=self._deadline(),
            doing=doing,
            consequence=("The job has ended." if has_ended else job_continues(self.id)),
            job_id=self.id,
            status=self.status,
        )

    def _retrieve(self) -> Requests[Any]:
        situation = self._while("reading the job")
        method = "fine_tuning.jobs.retrieve"
        return ask(method, situation, fine_tuning_job_id=self.id)

    def _cancel(self) -> Requests[Any]:
        situation = self._while("cancelling the job")
        method = "fine_tuning.jobs.cancel"
        try:
            return (yield from ask(method, situation, fine_tuning_job_id=self.id))
        except FineTuningError as error:
            # Servers refuse to cancel what has ended.
            job = yield from self._retrieve()
            if str(job.status) not in ENDED:
                raise
            logger.info("Job %s had ended (%s): %s", self.id, job.status, error.args[0])
            return job

    def _checkpoints(self) -> Requests[list[Any]]:
        situation = self._while("listing the checkpoints")
        method = "fine_tuning.jobs.checkpoints.list"
        listed = yield from list_all(method, situation, fine_tuning_job_id=self.id)
        return sorted(listed or (), key=_step_of)

    def _delete_files(self) -> Requests[None]:
        situation = self._while("deleting the training file")
        files = (self._job.training_file, self._job.validation_file)
        copies = yield from copies_of(files, situation)
        for file_id in files:
            if file_id:
                yield from delete("files", situation, file_id=file_id)
        yield from delete_unused_files(copies, situation, self.id)

    def _delete_model(self) -> Requests[None]:
        name = self._job.fine_tuned_model
        if not name:
            msg = f"Job {self.id} has no model to delete (status: {self.status})."
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        yield from delete("models", self._while("deleting the model"), model=name)


def _step_of(checkpoint: Any) -> int:
    step = checkpoint.step_number
    return step if isinstance(step, int) else 0
