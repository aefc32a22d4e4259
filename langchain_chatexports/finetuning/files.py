"""The training file on the server: find it, upload it, wait for it, delete it."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, Literal

from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.clock import Deadline
from langchain_chatexports.finetuning.errors import (
    Situation,
    clean_text,
    has_no_route,
    is_temporary,
    status_of,
)
from langchain_chatexports.finetuning.orders import ENDED, is_uploaded_name
from langchain_chatexports.finetuning.requests import (
    Requests,
    Sleep,
    ask,
    ask_once,
    list_all,
    pause_before_retry,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from langchain_chatexports.finetuning.orders import TrainingFile

__all__ = [
    "await_processed",
    "copies_of",
    "delete",
    "delete_unused_files",
    "find_or_upload",
]

logger = logging.getLogger(__name__)

_IN_WORK = ("uploaded", "pending", "processing", "running")
_BAD = ("error", "failed", "deleted", "deleting")
_MAX_WAIT = 30.0
# Servers that say so (Azure) refuse jobs until they are through with the file.
_MAX_WAIT_IN_WORK = 600.0
_LARGE = 10_000_000
_MIN_BYTES_A_SECOND = 250_000
_FIRST_INTERVAL = 1.0
_MAX_INTERVAL = 5.0


def find_or_upload(
    file: TrainingFile, expires_after: int | None, situation: Situation
) -> Requests[tuple[Any, bool]]:
    """Find a file on the server, or upload it.

    Args:
        file: The file.
        expires_after: Seconds after which the server deletes it by itself.
        situation: What for.

    Returns:
        The SDK's file, and whether it was there before.
    """
    found = yield from _find(file, expires_after, situation)
    if found is not None:
        return found, True
    sent = yield from _upload(file, expires_after, situation)
    if expires_after is not None and not sent.expires_at:
        logger.warning(
            "%s does not say that it deletes the file %s by itself.",
            situation.server,
            sent.id,
        )
    return sent, False


def _find(
    file: TrainingFile, expires_after: int | None, situation: Situation
) -> Requests[Any]:
    situation = situation.with_(doing="looking for the training file")
    for found in (yield from _list_files(situation)):
        if (
            found.filename == file.name
            and found.bytes in (None, len(file.data))
            and found.status not in _BAD
            # It could expire before the job has read it.
            and (expires_after is not None or not found.expires_at)
        ):
            return found
    return None


def _upload(
    file: TrainingFile, expires_after: int | None, situation: Situation
) -> Requests[Any]:
    situation = situation.with_(doing="uploading the training file", creates_file=True)
    arguments: dict[str, Any] = {"purpose": "fine-tune"}
    if expires_after is not None:
        expiry = {"anchor": "created_at", "seconds": expires_after}
        arguments["expires_after"] = expiry
    if len(file.data) > _LARGE:
        # What a server does with a file takes its time before the first byte.
        arguments["timeout"] = len(file.data) / _MIN_BYTES_A_SECOND
    attempt = 0
    while True:
        attempt += 1
        # Not the bytes: openai 2 logs arguments when it debugs.
        content = (file.name, io.BytesIO(file.data), "application/jsonl")
        try:
            return (yield from ask_once("files.create", file=content, **arguments))
        except Exception as error:  # noqa: BLE001 - sorted below
            problem = error
        # The answer may be lost, and the file there: also after the last attempt.
        refusal: FineTuningError | None = None
        try:
            yield from pause_before_retry(problem, attempt, situation)
        except FineTuningError as error:
            if not is_temporary(problem):
                raise
            refusal = error
        found = yield from _find(file, expires_after, situation)
        if found is not None:
            return found
        if refusal is not None:
            raise refusal


def await_processed(file: Any, situation: Situation) -> Requests[None]:
    """Wait until the server has looked at a file, but not for long.

    The job itself waits for its file where that takes longer.

    Args:
        file: The SDK's file.
        situation: What for.

    Raises:
        FileProcessingError: If the server cannot use the file.
    """
    situation = situation.with_(doing="waiting for the training file")
    deadline = situation.deadline
    limit = _MAX_WAIT if file.status == "uploaded" else _MAX_WAIT_IN_WORK
    if deadline.seconds is not None:
        limit = min(limit, deadline.seconds / 3)
    patience = Deadline(deadline.clock, limit)
    interval = _FIRST_INTERVAL
    # The field is deprecated: a missing or unknown one says nothing.
    while file.status in _IN_WORK and patience.remaining() > interval:
        yield Sleep(interval)
        interval = min(interval * 1.5, _MAX_INTERVAL)
        try:
            file = yield from ask("files.retrieve", situation, file_id=file.id)
        except FineTuningError as error:
            if not has_no_route(error):
                raise
            return
    if file.status in _BAD:
        said = clean_text(file.status_details, situation.scrub)
        msg = (
            f"{situation.server} could not use the uploaded file {file.id}"
            f"{': ' + said if said else ''}. {situation.consequence} Check the "
            "examples, and run again."
        )
        raise FileProcessingError(msg, status=str(file.status))


def delete_unused_files(
    file_ids: list[str], situation: Situation, job_id: str | None = None
) -> Requests[None]:
    """Delete uploaded files that no other job needs, and warn of those that stay.

    Their copies go with them.

    Args:
        file_ids: The files.
        situation: What for.
        job_id: The job that no longer needs them.
    """
    situation = situation.with_(doing="deleting the training file")
    needed = yield from _in_use(situation, job_id)
    copies = yield from copies_of(file_ids, situation)
    for file_id in (*file_ids, *copies):
        if file_id in needed:
            logger.warning("The training file %s stays: another job uses it.", file_id)
            continue
        try:
            yield from delete("files", situation, file_id=file_id)
        except FineTuningError:
            logger.warning(
                "The training file %s could not be deleted and is still at %s.",
                file_id,
                situation.server,
            )


def copies_of(
    file_ids: Collection[str | None], situation: Situation
) -> Requests[list[str]]:
    """Find files with the same content as files of ours.

    Where the answer to an upload comes too late to be waited for, or two processes
    upload at the same time, a text lies on the server twice.

    Returns:
        The ids of the copies; none where the server has no list.
    """
    try:
        listed = yield from _list_files(situation)
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


def delete(
    kind: Literal["files", "models"], situation: Situation, /, **name: str
) -> Requests[None]:
    """Delete a file or a model; one that is gone is no error.

    Args:
        kind: Which of them.
        situation: What for.
        **name: `file_id` or `model`.

    Raises:
        FineTuningError: If it is still there.
    """
    try:
        yield from ask(f"{kind}.delete", situation, **name)
    except FineTuningError as error:
        if status_of(error) != 404:  # noqa: PLR2004 - HTTP
            raise
        # It is gone, or the server cannot delete: only a look can tell.
        try:
            yield from ask(f"{kind}.retrieve", situation, **name)
        except FineTuningError:
            return
        raise


def _list_files(situation: Situation) -> Requests[list[Any]]:
    return (yield from list_all("files.list", situation, purpose="fine-tune")) or []


def _in_use(situation: Situation, job_id: str | None) -> Requests[set[str]]:
    try:
        jobs = yield from list_all("fine_tuning.jobs.list", situation)
    except FineTuningError:
        jobs = None
    return {
        str(file_id)
        for job in jobs or ()
        if job.id != job_id and str(job.status) not in ENDED
        for file_id in (job.training_file, job.validation_file)
    }
