"""A fine-tuning job that was ordered: wait for it, follow it, use what comes of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from langchain_chatexports.exceptions import FineTuningError
from langchain_chatexports.finetuning.drivers import adrive, drive
from langchain_chatexports.finetuning.matching import ENDED, metadata_of
from langchain_chatexports.finetuning.orders import DATA_KEY
from langchain_chatexports.finetuning.protocol import Deadline, ask, list_all
from langchain_chatexports.finetuning.server_errors import Situation, public_text
from langchain_chatexports.finetuning.uploads import (
    copies_of,
    delete,
    delete_files,
)
from langchain_chatexports.finetuning.waiting import (
    Watch,
    conclude,
    goes_on,
    name_job_on_interrupt,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from langchain_openai.chat_models.base import BaseChatOpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
    from typing_extensions import Self

    from langchain_chatexports.finetuning.clients import ChatAccess, ServerAccess
    from langchain_chatexports.finetuning.protocol import Clock, Protocol
    from langchain_chatexports.finetuning.tuner import ChatFineTuner

__all__ = ["FineTuningRun"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class FineTuningRun:
    """One job on the server, as `ChatFineTuner.submit` and `get` give it.

    The job goes on whether or not anybody waits for it. Every method has an async twin
    with LangChain's prefix: `arefresh`, `aevents`, `acancel`, and so on; that of `wait`
    is `await_`.
    """

    def __init__(
        self,
        tuner: ChatFineTuner,
        job: FineTuningJob,
        *,
        server: str,
        access: ServerAccess,
        chats: ChatAccess,
        hides: Callable[[str], str] = str,
    ) -> None:
        """Made by `ChatFineTuner.submit` and `ChatFineTuner.get`.

        Args:
            tuner: The settings: server, key, pauses, what to delete.
            job: The SDK's job.
            server: The server's base URL, for errors.
            access: How requests reach the server.
            chats: How chats reach the server.
            hides: Takes what is private out of a server's message.
        """
        self._tuner = tuner
        self._job = job
        self._server = server
        self._access = access
        self._chats = chats
        self._hides = hides

    @property
    def id(self) -> str:
        """The job's id, for `ChatFineTuner.get` after a restart."""
        return self._job.id

    @property
    def status(self) -> str:
        """The job's status as it was last seen; `refresh` asks again."""
        return public_text(str(self._job.status), self._hides)

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
        self._job = self._drive(self._retrieve())
        return self

    async def arefresh(self) -> Self:
        """Ask the server for the job's present state."""
        self._job = await self._adrive(self._retrieve())
        return self

    def events(self) -> Iterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once.

        Yields:
            The SDK's events; ends with the job, however it ends.
        """
        watch = self._watch(Deadline(self._clock, None))
        with name_job_on_interrupt(self.id), self._access.client() as client:
            while not watch.done:
                events = drive(watch.next_round(), client, self._clock)
                self._job = watch.job
                yield from events

    async def aevents(self) -> AsyncIterator[FineTuningJobEvent]:
        """Follow the job's events, oldest first and each once."""
        watch = self._watch(Deadline(self._clock, None))
        with name_job_on_interrupt(self.id):
            async with self._access.async_client() as client:
                while not watch.done:
                    events = await adrive(watch.next_round(), client, self._clock)
                    self._job = watch.job
                    for event in events:
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
            self.follow(client, deadline, self._tuner.tell)
        return self

    async def await_(self, timeout: float | None = None) -> Self:
        """Wait for the job's end; the twin of `wait`."""

        async def tell(event: FineTuningJobEvent) -> None:
            self._tuner.tell(event)

        deadline = Deadline(self._clock, timeout)
        async with self._access.async_client(deadline) as client:
            await self.afollow(client, deadline, tell)
        return self

    def cancel(self) -> str:
        """Stop the job.

        Returns:
            The job's status afterwards; a job that has ended keeps its own.
        """
        self._job = self._drive(self._cancel())
        return self.status

    async def acancel(self) -> str:
        """Stop the job."""
        self._job = await self._adrive(self._cancel())
        return self.status

    def checkpoints(self) -> list[FineTuningJobCheckpoint]:
        """List the job's checkpoints; empty where the server keeps none."""
        return self._drive(self._checkpoints())

    async def acheckpoints(self) -> list[FineTuningJobCheckpoint]:
        """List the job's checkpoints; empty where the server keeps none."""
        return await self._adrive(self._checkpoints())

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
        base_model = self._job.model or self._tuner.model
        arguments = {**self._tuner.chat_model_kwargs, **kwargs}
        arguments["metadata"] = {
            "fine_tuning_job_id": self.id,
            "base_model": base_model,
            **self._data_hash(),
            **(arguments.get("metadata") or {}),
        }
        return self._chats.chat_model(str(name), base_model=base_model, **arguments)

    def _data_hash(self) -> dict[str, str]:
        data_hash = metadata_of(self._job).get(DATA_KEY)
        return {"training_data_sha256": data_hash} if data_hash else {}

    def delete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        self._drive(self._delete_files())

    async def adelete_training_file(self) -> None:
        """Delete the training file, and the validation file, from the server."""
        await self._adrive(self._delete_files())

    def delete_model(self) -> None:
        """Delete the tuned model from the server."""
        self._drive(self._delete_model())

    async def adelete_model(self) -> None:
        """Delete the tuned model from the server."""
        await self._adrive(self._delete_model())

    def follow(
        self,
        client: Any,
        deadline: Deadline,
        tell: Callable[[FineTuningJobEvent], None],
    ) -> None:
        """Wait for the job's end and hand on its events.

        Args:
            client: The SDK's client.
            deadline: When to give up.
            tell: Gets each event.
        """
        watch = self._watch(deadline)
        with name_job_on_interrupt(self.id, watch):
            while not watch.done:
                events = drive(watch.next_round(), client, self._clock)
                self._job = watch.job
                for event in events:
                    tell(event)
            self._job = drive(self._conclude(watch), client, self._clock)

    async def afollow(
        self,
        client: Any,
        deadline: Deadline,
        tell: Callable[[FineTuningJobEvent], Awaitable[None]],
    ) -> None:
        """Wait for the job's end and hand on its events."""
        watch = self._watch(deadline)
        with name_job_on_interrupt(self.id, watch):
            while not watch.done:
                events = await adrive(watch.next_round(), client, self._clock)
                self._job = watch.job
                for event in events:
                    await tell(event)
            self._job = await adrive(self._conclude(watch), client, self._clock)

    def _conclude(self, watch: Watch) -> Protocol[Any]:
        return conclude(watch, delete_training_file=self._tuner.delete_training_file)

    @property
    def _clock(self) -> Clock:
        return self._tuner.clock

    def _watch(self, deadline: Deadline) -> Watch:
        return Watch(
            self._job,
            self._server,
            deadline,
            interval=self._tuner.poll_interval,
            longest_interval=self._tuner.max_poll_interval,
            hides=self._hides,
        )

    def _drive(self, protocol: Protocol[T]) -> T:
        with self._access.client(self._deadline()) as client:
            return drive(protocol, client, self._clock)

    async def _adrive(self, protocol: Protocol[T]) -> T:
        async with self._access.async_client(self._deadline()) as client:
            return await adrive(protocol, client, self._clock)

    def _situation(self, doing: str) -> Situation:
        ended = self.status in ENDED
        consequence = "The job has ended." if ended else goes_on(self.id)
        return Situation(
            server=self._server,
            doing=doing,
            consequence=consequence,
            job_id=self.id,
            status=self.status,
            hides=self._hides,
        )

    def _deadline(self) -> Deadline:
        return Deadline(self._clock, self._tuner.timeout)

    def _retrieve(self) -> Protocol[Any]:
        return ask(
            "fine_tuning.jobs.retrieve",
            self._situation("reading the job"),
            self._deadline(),
            fine_tuning_job_id=self.id,
        )

    def _cancel(self) -> Protocol[Any]:
        try:
            return (
                yield from ask(
                    "fine_tuning.jobs.cancel",
                    self._situation("cancelling the job"),
                    self._deadline(),
                    fine_tuning_job_id=self.id,
                )
            )
        except FineTuningError as error:
            # Servers refuse to cancel what has ended.
            job = yield from self._retrieve()
            if str(job.status) not in ENDED:
                raise
            logger.info("Job %s had ended (%s): %s", self.id, job.status, error.args[0])
            return job

    def _checkpoints(self) -> Protocol[list[Any]]:
        listed = yield from list_all(
            "fine_tuning.jobs.checkpoints.list",
            self._situation("listing the checkpoints"),
            self._deadline(),
            fine_tuning_job_id=self.id,
        )
        return sorted(listed or (), key=_step_of)

    def _delete_files(self) -> Protocol[None]:
        situation = self._situation("deleting the training file")
        files = (self._job.training_file, self._job.validation_file)
        copies = yield from copies_of(files, situation, self._deadline())
        for file_id in files:
            if file_id:
                yield from delete("files", situation, self._deadline(), file_id=file_id)
        yield from delete_files(copies, situation, self._deadline(), self.id)

    def _delete_model(self) -> Protocol[None]:
        name = self._job.fine_tuned_model
        if not name:
            msg = f"Job {self.id} has no model to delete (status: {self.status})."
            raise FineTuningError(msg, job_id=self.id, status=self.status)
        situation = self._situation("deleting the model")
        yield from delete("models", situation, self._deadline(), model=name)


def _step_of(checkpoint: Any) -> int:
    step = checkpoint.step_number
    return step if isinstance(step, int) else 0
