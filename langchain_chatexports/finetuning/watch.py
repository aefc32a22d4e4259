"""Follow a job to its end: poll, collect events, say how it ended."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_chatexports.exceptions import (
    FineTuningCancelledError,
    FineTuningError,
    FineTuningFailedError,
)
from langchain_chatexports.finetuning.errors import (
    MAX_RETRY_AFTER,
    Situation,
    clean_text,
    error_of,
    has_no_route,
    is_bad_request,
    is_temporary,
    requested_wait,
    status_of,
)
from langchain_chatexports.finetuning.files import delete_unused_files
from langchain_chatexports.finetuning.jobs import warn_of_shutdown
from langchain_chatexports.finetuning.orders import ENDED
from langchain_chatexports.finetuning.requests import (
    Requests,
    Sleep,
    ask,
    ask_once,
    is_last_page,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["JobWatch", "job_continues", "name_job_on_interrupt"]

logger = logging.getLogger(__name__)

_GROWTH = 1.5
_MAX_NOT_FOUND = 3
_LOOKS_FOR_MODEL = 5
_WARN_EVERY = 10
_EVENTS_PAGE = 100
_MAX_EVENT_PAGES = 1_000
_LAST_EVENTS = 3
_GOING_ON = frozenset({"validating_files", "queued", "running"})


def job_continues(job_id: str) -> str:
    """Return what it means that nobody waits for a job any longer."""
    return (
        f"Job {job_id} goes on, and may cost: get({job_id!r}).wait() waits for it "
        f"again, get({job_id!r}).cancel() stops it."
    )


@dataclass
class JobWatch:
    """The rounds of waiting for one job.

    Attributes:
        job: The SDK's job as it was last seen.
        base: The server, the deadline, and what to scrub from errors.
        interval: Seconds until the next round; grows.
        max_interval: Where it stops growing.
        done: Whether the job has ended.
    """

    job: Any
    base: Situation
    interval: float = 2.0
    max_interval: float = 60.0
    done: bool = False
    _rounds: int = 0
    _failures: int = 0
    _has_events: bool = True
    _seen: set[str] = field(default_factory=set)
    _warned_status: str | None = None
    _last_events: list[Any] = field(default_factory=list)

    def next_round(self) -> Requests[list[Any]]:
        """Wait, look at the job, and collect the events that are new.

        Returns:
            The SDK's events, oldest first.

        Raises:
            FineTuningError: If the waiting is over before the job is.
        """
        if self._rounds:
            yield from self._pause()
        self._rounds += 1
        try:
            self.job = yield from ask_once(
                "fine_tuning.jobs.retrieve", fine_tuning_job_id=self.job.id
            )
        except Exception as error:  # noqa: BLE001 - sorted below
            yield from self._tolerate(error)
            return []
        self._failures = 0
        status = str(self.job.status)
        self.done = status in ENDED
        if status not in ENDED | _GOING_ON and status != self._warned_status:
            self._warned_status = status
            said = clean_text(status, self.base.scrub)
            logger.warning("Job %s has the status %r.", self.job.id, said)
        events = yield from self._new_events()
        self._last_events = [*self._last_events, *events][-_LAST_EVENTS:]
        return events

    def finish(self, *, delete_training_file: bool) -> Requests[Any]:
        """Tidy up after a job that has ended, and see that it ended well.

        Args:
            delete_training_file: Whether to delete its files, also after a failure.

        Returns:
            The SDK's job, succeeded and with the name of its model.

        Raises:
            FineTuningFailedError: If the job failed.
            FineTuningCancelledError: If it was cancelled.
            FineTuningError: If it succeeded without a model.
        """
        job = self.job
        if delete_training_file:
            files = [f for f in (job.training_file, job.validation_file) if f]
            yield from delete_unused_files(files, self._while(""), job.id)
        if job.status == "failed":
            raise self._failure()
        if job.status != "succeeded":
            msg = (
                f"Fine-tuning job {job.id} was cancelled, so there is no model. What "
                "it trained until then may be billed. Run again to order a new job."
            )
            raise FineTuningCancelledError(msg, job_id=job.id, status=str(job.status))
        yield from self._wait_for_model_name()
        yield from self._look_at_model()
        return self.job

    def _while(self, doing: str) -> Situation:
        return self.base.with_(
            doing=doing,
            consequence=job_continues(self.job.id),
            job_id=self.job.id,
            status=clean_text(self.job.status, self.base.scrub),
        )

    def _pause(self) -> Requests[None]:
        deadline = self.base.deadline
        pause = self.interval * deadline.clock.jitter()
        remaining = deadline.remaining()
        if remaining <= 0:
            raise self._while(f"waiting for job {self.job.id}").timed_out()
        # The last look is at the deadline itself.
        yield Sleep(min(pause, remaining))
        self.interval = min(self.interval * _GROWTH, self.max_interval)

    def _tolerate(self, error: Exception) -> Requests[None]:
        # A temporary error never ends the waiting by itself.
        self._failures += 1
        situation = self._while(f"waiting for job {self.job.id}")
        not_found = status_of(error) == 404  # noqa: PLR2004 - HTTP
        if not is_temporary(error) and not (
            not_found and self._failures < _MAX_NOT_FOUND
        ):
            raise error_of(error, situation)
        asked = requested_wait(error)
        if asked is not None:
            if asked > min(MAX_RETRY_AFTER, situation.deadline.remaining()):
                raise error_of(error, situation, wait=asked)
            yield Sleep(asked)
        if self._failures % _WARN_EVERY == 0:
            logger.warning(
                "%d requests in a row about job %s have failed (%s); still trying.",
                self._failures,
                self.job.id,
                type(error).__name__,
            )

    # Events

    def _new_events(self) -> Requests[list[Any]]:
        # Newest first, and `after` goes to older ones: page until a known one.
        new: dict[str, Any] = {}
        after: dict[str, str] = {}
        for _ in range(_MAX_EVENT_PAGES if self._has_events else 0):
            if after and self.base.deadline.is_over():
                if not self.done:
                    return []  # The next round raises.
                break
            try:
                page = yield from self._events_page(after)
            except Exception as error:  # noqa: BLE001 - progress is not worth an end
                self._has_events = not (has_no_route(error) or is_bad_request(error))
                if not self.done:
                    return []  # The next round reads them all again.
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

    def _events_page(self, after: dict[str, str]) -> Requests[Any]:
        method = "fine_tuning.jobs.list_events"
        arguments = {"fine_tuning_job_id": self.job.id, "limit": _EVENTS_PAGE, **after}
        if not self.done:
            return (yield from ask_once(method, **arguments))
        # There is no later round to make up for it.
        situation = self._while("reading the job's events")
        return (yield from ask(method, situation, **arguments))

    # The end

    def _failure(self) -> FineTuningFailedError:
        job, scrub = self.job, self.base.scrub
        # Only now: the field can be an object of nulls while all is well.
        error = getattr(job, "error", None)
        code, param, said = (
            clean_text(getattr(error, name, None), scrub) or None
            for name in ("code", "param", "message")
        )
        parts = [part for part in (code, said) if part]
        reason = f": {': '.join(parts)}" if parts else ""
        about = f" (about `{param}`)" if param else ""
        events = [
            clean_text(event.message, scrub)
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

    def _wait_for_model_name(self) -> Requests[None]:
        # Some servers set the status a moment before the name.
        job_id, server = self.job.id, self.base.server
        situation = self._while("reading the name of the model").with_(
            consequence=(
                f"Job {job_id} has succeeded: get({job_id!r}).wait() asks for its "
                "model again."
            )
        )
        for _ in range(_LOOKS_FOR_MODEL):
            if self.job.fine_tuned_model:
                return
            if situation.deadline.is_over():
                raise situation.timed_out()
            yield Sleep(min(self.interval, situation.deadline.remaining()))
            self.job = yield from ask(
                "fine_tuning.jobs.retrieve", situation, fine_tuning_job_id=job_id
            )
        if not self.job.fine_tuned_model:
            msg = (
                f"Fine-tuning job {job_id} succeeded, but {server} does not name its "
                "model. It has been paid for: look in the server's own list of models, "
                f"or ask again later with get({job_id!r})."
            )
            raise FineTuningError(msg, job_id=job_id, status="succeeded")

    def _look_at_model(self) -> Requests[None]:
        # The first chats with a new model can be a 404. Servers without such a list, or
        # with trouble, are no reason to withhold the model.
        deadline = self.base.deadline
        for _ in range(_MAX_NOT_FOUND):
            try:
                model = yield from ask_once(
                    "models.retrieve", model=self.job.fine_tuned_model
                )
            except Exception as error:  # noqa: BLE001 - see above
                if status_of(error) != 404:  # noqa: PLR2004 - HTTP
                    return
            else:
                warn_of_shutdown(model, deadline.clock.today())
                return
            if deadline.remaining() <= self.interval:
                return
            yield Sleep(min(self.interval, 2.0))
        logger.info("The model of job %s is not listed yet.", self.job.id)


@contextmanager
def name_job_on_interrupt(
    job_id: str | None, watch: JobWatch | None = None
) -> Iterator[None]:
    """Say what becomes of the job when the waiting for it is interrupted.

    Args:
        job_id: The job; `None` while it is being ordered.
        watch: Who knows whether it has ended.
    """
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


def _identity(event: Any) -> str:
    return str(event.id or (event.created_at, event.message, event.data))


def _time_of(event: Any) -> float:
    return event.created_at if isinstance(event.created_at, (int, float)) else 0.0
