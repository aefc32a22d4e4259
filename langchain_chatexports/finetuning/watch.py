"""Follow a job to its end: poll, collect events, say how it ended."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
)
from langchain_chatexports.finetuning.connection import is_last_page
from langchain_chatexports.finetuning.errors import Step, has_no_route, is_bad_request
from langchain_chatexports.finetuning.files import delete_unused_files
from langchain_chatexports.finetuning.jobs import warn_of_shutdown
from langchain_chatexports.finetuning.orders import ENDED
from langchain_chatexports.finetuning.retries import (
    MAX_RETRY_AFTER,
    is_temporary,
    requested_wait,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

    from langchain_chatexports.finetuning.connection import Connection
    from langchain_chatexports.finetuning.settings import FineTunerSettings

__all__ = ["JobWatch", "job_continues", "name_job_on_interrupt"]

logger = logging.getLogger(__name__)

_GROWTH = 1.5
_MAX_NOT_FOUND = 3
_LOOKS_FOR_MODEL = 5
_WARN_EVERY = 10
_EVENTS_PAGE = 100
_MAX_EVENT_PAGES = 1_000
_LAST_EVENTS = 3
_KNOWN = ENDED | {"validating_files", "queued", "running"}


def job_continues(job_id: str) -> str:
    """Return what happens to a job that is no longer waited for."""
    return (
        f"Job {job_id} goes on, and may cost: get({job_id!r}).wait() waits for it "
        f"again, get({job_id!r}).cancel() stops it."
    )


@contextmanager
def name_job_on_interrupt(
    job_id: str | None, watch: JobWatch | None = None
) -> Iterator[None]:
    """Say what becomes of the job, `None` while it is being ordered, if interrupted."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        if job_id is None:
            text = (
                "Interrupted while ordering: if the job was created, it goes on and "
                "may cost. The same call finds it; get(job_id).cancel() stops it. A "
                "file that was uploaded stays on the server."
            )
        elif watch is not None and watch.done:
            text = f"Job {job_id} has ended: get({job_id!r}).wait() gives its result."
        else:
            text = job_continues(job_id)
        logger.warning(text)
        if hasattr(error, "add_note"):  # Python 3.11
            error.add_note(text)
        raise


class JobWatch:
    """Waiting for one job.

    Attributes:
        job: The SDK's job as it was last seen.
        done: Whether the job has ended.
    """

    def __init__(
        self, job: FineTuningJob, connection: Connection, settings: FineTunerSettings
    ) -> None:
        self.job = job
        self.done = False
        self._connection = connection
        self._settings = settings
        self._interval = settings.poll_interval
        self._has_looked = False
        self._failures = 0
        self._has_events = True
        self._seen: set[str] = set()
        self._last_events: list[FineTuningJobEvent] = []
        self._warned_status = ""

    async def next_events(self) -> list[FineTuningJobEvent]:
        """Look at the job, after a pause except for the first time.

        Returns:
            Its new events, oldest first.

        Raises:
            FineTuningError: If the waiting is over before the job is.
        """
        if self._has_looked:
            await self._pause()
        self._has_looked = True
        try:
            self.job = await self._connection.call(
                "fine_tuning.jobs.retrieve", fine_tuning_job_id=self.job.id
            )
        except Exception as error:  # noqa: BLE001 - sorted below
            problem = error
        else:
            self._failures = 0
            self.done = str(self.job.status) in ENDED
            self._warn_of_status(str(self.job.status))
            events = await self._new_events()
            self._last_events = [*self._last_events, *events][-_LAST_EVENTS:]
            return events
        await self._tolerate(problem)
        return []

    async def finish(self) -> None:
        """Tidy up after a job that has ended, and make sure that it has a model.

        Raises:
            FineTuningFailedError: If the job failed.
            FineTuningCancelledError: If it was cancelled.
            FineTuningError: If it succeeded without a model.
        """
        job = self.job
        if self._settings.delete_training_file:
            files = [f for f in (job.training_file, job.validation_file) if f]
            await delete_unused_files(files, self._connection, job.id)
        if job.status == "failed":
            raise self._failure()
        if job.status != "succeeded":
            msg = (
                f"Fine-tuning job {job.id} was cancelled, so there is no model. What "
                "it trained until then may be billed. Run again to order a new job."
            )
            raise FineTuningCancelledError(msg, job_id=job.id, status=str(job.status))
        await self._wait_for_model_name()
        await self._look_at_model()

    def _step(self, doing: str) -> Step:
        status = self._connection.clean(self.job.status)
        return Step(doing, job_continues(self.job.id), self.job.id, status)

    # One look

    async def _pause(self) -> None:
        pause = self._interval * self._connection.clock.jitter()
        remaining = self._connection.deadline.remaining()
        if remaining <= 0:
            step = self._step(f"waiting for job {self.job.id}")
            raise self._connection.timed_out(step)
        # The last look is at the deadline itself.
        await self._connection.sleep(min(pause, remaining))
        self._interval = min(self._interval * _GROWTH, self._settings.max_poll_interval)

    def _warn_of_status(self, status: str) -> None:
        if status not in _KNOWN and status != self._warned_status:
            self._warned_status = status
            said = self._connection.clean(status)
            logger.warning("Job %s has the status %r.", self.job.id, said)

    async def _tolerate(self, problem: Exception) -> None:
        # A temporary error never ends the waiting by itself.
        self._failures += 1
        connection = self._connection
        step = self._step(f"waiting for job {self.job.id}")
        not_found = status_of(problem) == 404  # noqa: PLR2004 - HTTP
        if not is_temporary(problem) and not (
            not_found and self._failures < _MAX_NOT_FOUND
        ):
            raise connection.error(problem, step)
        asked = requested_wait(problem)
        if asked is not None:
            if asked > min(MAX_RETRY_AFTER, connection.deadline.remaining()):
                raise connection.error(problem, step, wait=asked)
            await connection.sleep(asked)
        if self._failures % _WARN_EVERY == 0:
            logger.warning(
                "%d requests in a row about job %s have failed (%s); still trying.",
                self._failures,
                self.job.id,
                type(problem).__name__,
            )

    # Events

    async def _new_events(self) -> list[FineTuningJobEvent]:
        # Newest first, and `after` goes to older ones: page until a known one.
        new: dict[str, FineTuningJobEvent] = {}
        after: dict[str, str] = {}
        for _ in range(_MAX_EVENT_PAGES if self._has_events else 0):
            if after and self._connection.deadline.is_over():
                if not self.done:
                    return []  # The next look raises.
                break
            try:
                page = await self._events_page(after)
            except Exception as error:  # noqa: BLE001 - progress is not worth an end
                self._has_events = not (has_no_route(error) or is_bad_request(error))
                if not self.done:
                    return []  # The next look reads them all again.
                break
            # What is no event at all has none of its fields.
            events = [event for event in page.data if hasattr(event, "message")]
            known = self._seen | new.keys()
            fresh = [event for event in events if _identity(event) not in known]
            new.update((_identity(event), event) for event in fresh)
            if len(fresh) < len(page.data) or is_last_page(page, fresh):
                break
            after = {"after": fresh[-1].id}
        self._seen.update(new)
        oldest_first = list(new.values())[::-1]
        # Stable: what happened in one second stays in the server's order.
        return sorted(oldest_first, key=_time_of)

    async def _events_page(self, after: dict[str, str]) -> Any:
        method = "fine_tuning.jobs.list_events"
        arguments = {"fine_tuning_job_id": self.job.id, "limit": _EVENTS_PAGE, **after}
        if not self.done:
            return await self._connection.call(method, **arguments)
        # There is no later look to make up for it.
        step = self._step("reading the job's events")
        return await self._connection.ask(method, step, **arguments)

    # The end

    def _failure(self) -> FineTuningFailedError:
        job, clean = self.job, self._connection.clean
        # Only now: the field can be an object of nulls while all is well.
        error = getattr(job, "error", None)
        code, param, said = (
            clean(getattr(error, name, None)) or None
            for name in ("code", "param", "message")
        )
        parts = [part for part in (code, said) if part]
        reason = f": {': '.join(parts)}" if parts else ""
        about = f" (about `{param}`)" if param else ""
        events = [
            clean(event.message)
            for event in self._last_events
            if event.level in ("warn", "error")
        ]
        events = [text for text in events if text and text != said]
        also = f" Its last events: {'; '.join(events)}." if events else ""
        msg = (
            f"Fine-tuning job {job.id} failed{reason}{about}.{also} There is no model. "
            "Correct what it complains about and run again: a failed job is not taken "
            "up again, so that is a new order. The server's account page says whether "
            "this one is billed."
        )
        return FineTuningFailedError(msg, job_id=job.id, code=code, param=param)

    async def _wait_for_model_name(self) -> None:
        # Some servers set the status a moment before the name.
        job_id, connection = self.job.id, self._connection
        consequence = (
            f"Job {job_id} has succeeded: get({job_id!r}).wait() asks for its model "
            "again."
        )
        step = Step("reading the name of the model", consequence, job_id, "succeeded")
        for _ in range(_LOOKS_FOR_MODEL):
            if self.job.fine_tuned_model:
                return
            if connection.deadline.is_over():
                raise connection.timed_out(step)
            await connection.sleep(min(self._interval, connection.deadline.remaining()))
            self.job = await connection.ask(
                "fine_tuning.jobs.retrieve", step, fine_tuning_job_id=job_id
            )
        if not self.job.fine_tuned_model:
            msg = (
                f"Fine-tuning job {job_id} succeeded, but {connection.server} does not "
                "name its model. It has been paid for: look in the server's own list "
                f"of models, or ask again later with get({job_id!r})."
            )
            raise FineTuningError(msg, job_id=job_id, status="succeeded")

    async def _look_at_model(self) -> None:
        # The first chats with a new model can be a 404. Servers without such a list, or
        # with trouble, are no reason to withhold the model.
        connection = self._connection
        for _ in range(_MAX_NOT_FOUND):
            try:
                model = await connection.call(
                    "models.retrieve", model=self.job.fine_tuned_model
                )
            except Exception as error:  # noqa: BLE001 - see above
                if status_of(error) != 404:  # noqa: PLR2004 - HTTP
                    return
            else:
                warn_of_shutdown(model, connection.clock.today())
                return
            if connection.deadline.remaining() <= self._interval:
                return
            await connection.sleep(min(self._interval, 2.0))
        logger.info("The model of job %s is not listed yet.", self.job.id)


def _identity(event: FineTuningJobEvent) -> str:
    return str(event.id or (event.created_at, event.message, event.data))


def _time_of(event: FineTuningJobEvent) -> float:
    created: object = event.created_at
    return created if isinstance(created, (int, float)) else 0.0
