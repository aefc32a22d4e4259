"""The training file on the server: find it, upload it, wait for it, delete it."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.matching import ENDED
from langchain_chatexports.finetuning.orders import is_uploaded_name
from langchain_chatexports.finetuning.protocol import (
    Deadline,
    Sleep,
    ask,
    ask_once,
    list_all,
    pause_before_retry,
)
from langchain_chatexports.finetuning.server_errors import (
    Situation,
    has_no_route,
    is_passing,
    public_text,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from langchain_chatexports.finetuning.orders import TrainingFile
    from langchain_chatexports.finetuning.protocol import Protocol

__all__ = ["Uploads", "copies_of", "delete", "delete_files"]

logger = logging.getLogger(__name__)

_IN_WORK = ("uploaded", "pending", "processing", "running")
_BAD = ("error", "failed", "deleted", "deleting")
_MAX_WAIT = 30.0
# Servers that say so (Azure) refuse jobs until they are through with the file.
_MAX_WAIT_IN_WORK = 600.0
_LARGE = 10_000_000
_SLOWEST_BYTES_A_SECOND = 250_000
_FIRST_INTERVAL = 1.0
_LONGEST_INTERVAL = 5.0


@dataclass
class Uploads:
    """The files of one order.

    Attributes:
        situation: What it means if something goes wrong with them.
        deadline: When to give up.
        expires_after: Seconds after which the server deletes them by itself.
        ids: The files that are there, found or sent.
    """

    situation: Situation
    deadline: Deadline
    expires_after: int | None = None
    ids: list[str] = field(default_factory=list)

    def provide(self, file: TrainingFile) -> Protocol[tuple[Any, bool]]:
        """Find a file on the server, or upload it.

        Args:
            file: The file.

        Returns:
            The SDK's file, and whether it was there before.
        """
        there = yield from self._find(file)
        if there is None:
            sent = yield from self._send(file)
            self.ids.append(sent.id)
            if self.expires_after is not None and not sent.expires_at:
                logger.warning(
                    "%s does not say that it deletes the file %s by itself.",
                    self.situation.server,
                    sent.id,
                )
            return sent, False
        self.ids.append(there.id)
        return there, True

    def await_processed(self, file: Any) -> Protocol[None]:
        """Wait until the server has looked at a file, but not for long.

        The job itself waits for its file where that takes longer.

        Args:
            file: The SDK's file.

        Raises:
            FileProcessingError: If the server cannot use the file.
        """
        limit = _MAX_WAIT if file.status == "uploaded" else _MAX_WAIT_IN_WORK
        if self.deadline.seconds is not None:
            limit = min(limit, self.deadline.seconds / 3)
        patience = Deadline(self.deadline.clock, limit)
        interval = _FIRST_INTERVAL
        # The field is deprecated: a missing or unknown one says nothing.
        while file.status in _IN_WORK and patience.remaining() > interval:
            yield Sleep(interval)
            interval = min(interval * 1.5, _LONGEST_INTERVAL)
            situation = self.situation.with_(doing="waiting for the training file")
            try:
                file = yield from ask(
                    "files.retrieve", situation, self.deadline, file_id=file.id
                )
            except FineTuningError as error:
                if not has_no_route(error):
                    raise
                return
        if file.status in _BAD:
            raise self._unusable(file)

    def _find(self, file: TrainingFile) -> Protocol[Any]:
        situation = self.situation.with_(doing="looking for the training file")
        files = yield from _list_files(situation, self.deadline)
        for there in files:
            if (
                there.filename == file.name
                and there.bytes in (None, len(file.data))
                and there.status not in _BAD
                # It could expire before the job has read it.
                and (self.expires_after is not None or not there.expires_at)
            ):
                return there
        return None

    def _send(self, file: TrainingFile) -> Protocol[Any]:
        situation = self.situation.with_(
            doing="uploading the training file", creates_file=True
        )
        arguments: dict[str, Any] = {}
        if self.expires_after is not None:
            arguments["expires_after"] = {
                "anchor": "created_at",
                "seconds": self.expires_after,
            }
        if len(file.data) > _LARGE:
            # What a server does with a file takes its time before the first byte.
            arguments["timeout"] = len(file.data) / _SLOWEST_BYTES_A_SECOND
        attempt = 0
        while True:
            attempt += 1
            try:
                return (
                    yield from ask_once(
                        "files.create",
                        # Not the bytes: openai 2 logs arguments when it debugs.
                        file=(file.name, io.BytesIO(file.data), "application/jsonl"),
                        purpose="fine-tune",
                        **arguments,
                    )
                )
            except Exception as error:  # noqa: BLE001 - sorted by `explained`
                problem = error
            # The answer may be lost, and the file there: also after the last attempt.
            try:
                yield from pause_before_retry(
                    problem, attempt, situation, self.deadline
                )
            except FineTuningError:
                there = (yield from self._find(file)) if is_passing(problem) else None
                if there is None:
                    raise
                return there
            there = yield from self._find(file)
            if there is not None:
                return there

    def _unusable(self, file: Any) -> FileProcessingError:
        said = public_text(str(file.status_details or ""), self.situation.hides)
        msg = (
            f"{self.situation.server} could not use the uploaded file {file.id}"
            f"{': ' + said if said else ''}. {self.situation.consequence} Check the "
            "examples, and run again."
        )
        return FileProcessingError(msg, status=str(file.status))


def delete_files(
    file_ids: list[str],
    situation: Situation,
    deadline: Deadline,
    job_id: str | None = None,
) -> Protocol[None]:
    """Delete uploaded files that no other job needs, and warn of those that stay.

    Their copies go with them.

    Args:
        file_ids: The files.
        situation: What for.
        deadline: When to give up.
        job_id: The job that no longer needs them.
    """
    needed = yield from _in_use(situation, deadline, job_id)
    copies = yield from copies_of(file_ids, situation, deadline)
    for file_id in (*file_ids, *copies):
        if file_id in needed:
            logger.warning("The training file %s stays: another job uses it.", file_id)
            continue
        try:
            yield from delete("files", situation, deadline, file_id=file_id)
        except FineTuningError:
            logger.warning(
                "The training file %s could not be deleted and is still at %s.",
                file_id,
                situation.server,
            )


def copies_of(
    file_ids: Collection[str | None], situation: Situation, deadline: Deadline
) -> Protocol[list[str]]:
    """Find files with the same content as files of ours.

    Where the answer to an upload comes too late to be waited for, or two processes
    upload at the same time, a text lies on the server twice.

    Args:
        file_ids: The files.
        situation: What for.
        deadline: When to give up.

    Returns:
        The ids of the copies; none where the server has no list.
    """
    try:
        listed = yield from _list_files(situation, deadline)
    except FineTuningError:
        return []
    names = {
        str(file.filename)
        for file in listed
        if file.id in file_ids and is_uploaded_name(str(file.filename))
    }
    return [
        file.id
        for file in listed
        if str(file.filename) in names and file.id not in file_ids
    ]


def _list_files(situation: Situation, deadline: Deadline) -> Protocol[list[Any]]:
    files = yield from list_all("files.list", situation, deadline, purpose="fine-tune")
    return files or []


def delete(
    kind: Literal["files", "models"],
    situation: Situation,
    deadline: Deadline,
    /,
    **name: str,
) -> Protocol[None]:
    """Delete a file or a model; one that is gone is no error.

    Args:
        kind: Which of them.
        situation: What for.
        deadline: When to give up.
        **name: `file_id` or `model`.

    Raises:
        FineTuningError: If it is still there.
    """
    try:
        yield from ask(f"{kind}.delete", situation, deadline, **name)
    except FineTuningError as error:
        # It is gone, or the server cannot delete: only a look can tell.
        if status_of(error) != 404 or (  # noqa: PLR2004 - HTTP
            yield from _is_there(kind, situation, deadline, **name)
        ):
            raise


def _is_there(
    kind: str, situation: Situation, deadline: Deadline, /, **name: str
) -> Protocol[bool]:
    try:
        yield from ask(f"{kind}.retrieve", situation, deadline, **name)
    except FineTuningError:
        return False
    return True


def _in_use(
    situation: Situation, deadline: Deadline, job_id: str | None
) -> Protocol[set[str]]:
    try:
        jobs = yield from list_all("fine_tuning.jobs.list", situation, deadline)
    except FineTuningError:
        jobs = None
    return {
        str(file_id)
        for job in jobs or ()
        if job.id != job_id and str(job.status) not in ENDED
        for file_id in (job.training_file, job.validation_file)
    }
