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
from langchain_chatexports.finetuning.matching import ENDED
from langchain_chatexports.finetuning.models import warn_of_shutdown
from langchain_chatexports.finetuning.protocol import (
    Sleep,
    ask,
    ask_once,
    is_last_page,
)
from langchain_chatexports.finetuning.server_errors import (
    MAX_RETRY_AFTER,
    Situation,
    asks_to_wait,
    cause_of,
    explained,
    has_no_route,
    is_bad_request,
    is_passing,
    public_text,
    status_of,
)
from langchain_chatexports.finetuning.uploads import delete_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_chatexports.finetuning.protocol import Deadline, Protocol

__all__ = ["Watch", "conclude", "goes_on", "name_job_on_interrupt"]

logger = logging.getLogger(__name__)

_GROWTH = 1.5
_LOST_JOB = 3
_LOOKS_FOR_MODEL = 5
_WARN_EVERY = 10
_EVENTS_PAGE = 100
_MAX_EVENT_PAGES = 1_000
_LAST_EVENTS = 3


def goes_on(job_id: str) -> str:
    """Say what it means that nobody waits for a job any longer."""
    return (
        f"Job {job_id} goes on, and may cost: get({job_id!r}).wait() waits for it "
        f"again, get({job_id!r}).cancel() stops it."
    )


@dataclass
class Watch:
    """The rounds of waiting for one job.

    Attributes:
        job: The SDK's job as it was last seen.
        server: The server's base URL, for errors.
        deadline: When to give up.
        interval: Seconds until the next round; grows.
        longest_interval: Where it stops growing.
    """

    job: Any
    server: str
    deadline: Deadline
    interval: float = 2.0
    longest_interval: float = 60.0
    hides: Callable[[str], str] = str
    done: bool = False
    _rounds: int = 0
    _failures: int = 0
    _has_events: bool = True
    _seen: set[str] = field(default_factory=set)
    _warned_status: str | None = None
    _last_events: list[Any] = field(default_factory=list)

    def next_round(self) -> Protocol[list[Any]]:
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
        self.done = self._has_ended()
        events = yield from self._new_events()
        self._last_events = [*self._last_events, *events][-_LAST_EVENTS:]
        return events

    def situation(self, doing: str) -> Situation:
        """Give the situation for an error while the job goes on."""
        return Situation(
            server=self.server,
            doing=doing,
            consequence=goes_on(self.job.id),
            job_id=self.job.id,
            status=public_text(str(self.job.status), self.hides),
            hides=self.hides,
        )

    def last_messages(self) -> list[str]:
        """Give the messages of the last events that tell of trouble."""
        return [
            public_text(str(event.message), self.hides)
            for event in self._last_events
            if event.level in ("warn", "error")
        ]

    def _pause(self) -> Protocol[None]:
        pause = self.interval * self.deadline.clock.jitter()
        remaining = self.deadline.remaining()
        if remaining <= 0:
            raise self.deadline.error(self.situation(f"waiting for job {self.job.id}"))
        # The last look is at the deadline itself.
        yield Sleep(min(pause, remaining))
        self.interval = min(self.interval * _GROWTH, self.longest_interval)

    def _has_ended(self) -> bool:
        status = str(self.job.status)
        known = ENDED | {"validating_files", "queued", "running"}
        if status not in known and status != self._warned_status:
            self._warned_status = status
            logger.warning("Job %s has the status %r.", self.job.id, status)
        return status in ENDED

    def _tolerate(self, error: Exception) -> Protocol[None]:
        # A passing error never ends the waiting by itself.
        self._failures += 1
        situation = self.situation(f"waiting for job {self.job.id}")
        lost = status_of(error) == 404 and self._failures < _LOST_JOB  # noqa: PLR2004
        if not is_passing(error) and not lost:
            raise explained(error, situation) from cause_of(error, situation)
        asked = asks_to_wait(error)
        if asked is not None:
            if asked > MAX_RETRY_AFTER or asked > self.deadline.remaining():
                raise explained(error, situation, wait=asked) from cause_of(
                    error, situation
                )
            yield Sleep(asked)
        if self._failures % _WARN_EVERY == 0:
            logger.warning(
                "%d requests in a row about job %s have failed (%s); still trying.",
                self._failures,
                self.job.id,
                type(error).__name__,
            )

    def _new_events(self) -> Protocol[list[Any]]:
        # Newest first, and `after` goes to older ones: page until a known one.
        new: list[Any] = []
        after: dict[str, str] = {}
        for _ in range(_MAX_EVENT_PAGES if self._has_events else 0):
            if after and self.deadline.is_over() and not self.done:
                return []
            if after and self.deadline.is_over():
                break
            try:
                page = yield from self._events_page(after)
            except Exception as error:  # noqa: BLE001 - progress is not worth an end
                self._has_events = not (has_no_route(error) or is_bad_request(error))
                if not self.done:
                    return []  # The next round reads them all again.
                break
            known = self._seen | {_identity(event) for event in new}
            fresh = [event for event in page.data if _is_new(event, known)]
            new.extend(fresh)
            if len(fresh) < len(page.data) or is_last_page(page, fresh):
                break
            after = {"after": fresh[-1].id}
        self._seen.update(map(_identity, new))
        new.reverse()
        # Stable: what happened in one second stays in the server's order.
        return sorted(new, key=_time_of)

    def _events_page(self, after: dict[str, str]) -> Protocol[Any]:
        arguments = {
            "fine_tuning_job_id": self.job.id,
            "limit": _EVENTS_PAGE,
            **after,
        }
        method = "fine_tuning.jobs.list_events"
        if not self.done:
            return (yield from ask_once(method, **arguments))
        # There is no later round to make up for it.
        situation = self.situation("reading the job's events")
        return (yield from ask(method, situation, self.deadline, **arguments))


@contextmanager
def name_job_on_interrupt(
    job_id: str | None, watch: Watch | None = None
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
            text = goes_on(job_id)
        logger.warning(text)
        if hasattr(error, "add_note"):  # Python 3.11
            error.add_note(text)
        raise


def conclude(watch: Watch, *, delete_training_file: bool) -> Protocol[Any]:
    """Tidy up after a job that has ended, and see that it ended well.

    Args:
        watch: The watch that saw it end.
        delete_training_file: Whether to delete its files, also after a failure.

    Returns:
        The SDK's job, succeeded and with the name of its model.

    Raises:
        FineTuningFailedError: If the job failed.
        FineTuningCancelledError: If it was cancelled.
        FineTuningError: If it succeeded without a model.
    """
    job = watch.job
    if delete_training_file:
        files = [f for f in (job.training_file, job.validation_file) if f]
        situation = watch.situation("deleting the training file")
        yield from delete_files(files, situation, watch.deadline, job.id)
    if job.status == "failed":
        raise _failure(watch)
    if job.status != "succeeded":
        msg = (
            f"Fine-tuning job {job.id} was cancelled, so there is no model. What it "
            "trained until then may be billed. Run again to order a new job."
        )
        raise FineTuningCancelledError(msg, job_id=job.id, status=str(job.status))
    yield from _wait_for_model_name(watch)
    yield from _look_at_model(watch)
    return watch.job


def _is_new(event: Any, known: set[str]) -> bool:
    # What is no event at all has none of its fields.
    return hasattr(event, "message") and _identity(event) not in known


def _identity(event: Any) -> str:
    return str(event.id or (event.created_at, event.message, event.data))


def _time_of(event: Any) -> float:
    return event.created_at if isinstance(event.created_at, (int, float)) else 0.0


def _failure(watch: Watch) -> FineTuningFailedError:
    job = watch.job
    # Only now: the field can be an object of nulls while all is well.
    error = getattr(job, "error", None)
    code, param, said = (
        public_text(str(getattr(error, name, None) or ""), watch.hides) or None
        for name in ("code", "param", "message")
    )
    parts = [str(part) for part in (code, said) if part]
    reason = f": {': '.join(parts)}" if parts else ""
    about = f" (about `{param}`)" if param else ""
    events = [text for text in watch.last_messages() if text and text != said]
    also = f" Its last events: {'; '.join(events)}." if events else ""
    msg = (
        f"Fine-tuning job {job.id} failed{reason}{about}.{also} There is no model. "
        "Correct what it complains about and run again: a failed job is not taken up "
        "again, so that is a new order. The server's account page says whether this "
        "one is billed."
    )
    return FineTuningFailedError(msg, job_id=job.id, code=code, param=param)


def _wait_for_model_name(watch: Watch) -> Protocol[None]:
    # Some servers set the status a moment before the name.
    for _ in range(_LOOKS_FOR_MODEL):
        if watch.job.fine_tuned_model:
            return
        situation = watch.situation("reading the name of the model").with_(
            consequence=(
                f"Job {watch.job.id} has succeeded: get({watch.job.id!r}).wait() asks "
                "for its model again."
            )
        )
        if watch.deadline.is_over():
            raise watch.deadline.error(situation)
        yield Sleep(min(watch.interval, watch.deadline.remaining()))
        watch.job = yield from ask(
            "fine_tuning.jobs.retrieve",
            situation,
            watch.deadline,
            fine_tuning_job_id=watch.job.id,
        )
    if not watch.job.fine_tuned_model:
        msg = (
            f"Fine-tuning job {watch.job.id} succeeded, but {watch.server} does not "
            "name its model. It has been paid for: look in the server's own list of "
            f"models, or ask again later with get({watch.job.id!r})."
        )
        raise FineTuningError(msg, job_id=watch.job.id, status="succeeded")


def _look_at_model(watch: Watch) -> Protocol[None]:
    # The first chats with a new model can be a 404. Servers without such a list, or
    # with trouble, are no reason to withhold the model.
    situation = watch.situation("looking up the new model")
    for _ in range(_LOST_JOB):
        try:
            model = yield from ask_once(
                "models.retrieve", model=watch.job.fine_tuned_model
            )
        except Exception as error:  # noqa: BLE001 - see above
            if status_of(error) != 404:  # noqa: PLR2004 - HTTP
                return
        else:
            warn_of_shutdown(model, watch.deadline.clock.today())
            return
        if watch.deadline.remaining() <= watch.interval:
            return
        yield Sleep(min(watch.interval, 2.0))
    logger.info("The model of job %s is not listed yet.", situation.job_id)
