"""The training file on the server: find it, upload it, wait for it, delete it."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, Literal

from langchain_chatexports.exceptions import FileProcessingError, FineTuningError
from langchain_chatexports.finetuning.errors import Step, has_no_route
from langchain_chatexports.finetuning.orders import ENDED, is_uploaded_name
from langchain_chatexports.finetuning.retries import status_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from openai.types import FileObject

    from langchain_chatexports.finetuning.connection import Connection
    from langchain_chatexports.finetuning.orders import TrainingFile

__all__ = [
    "NOTHING_ORDERED",
    "await_processed",
    "copies_of",
    "delete",
    "delete_unused_files",
    "find_or_upload",
]

logger = logging.getLogger(__name__)

NOTHING_ORDERED = "Nothing was ordered, so nothing costs."
"""What an error before the creation of the job means."""

_IN_WORK = ("uploaded", "pending", "processing", "running")
_BAD = ("error", "failed", "deleted", "deleting")
_MAX_WAIT = 30.0
# Servers that say so (Azure) refuse jobs until they are through with the file.
_MAX_WAIT_IN_WORK = 600.0
_LARGE = 10_000_000
_MIN_BYTES_A_SECOND = 250_000
_FIRST_INTERVAL = 1.0
_MAX_INTERVAL = 5.0


async def find_or_upload(
    file: TrainingFile, expires_after: int | None, connection: Connection
) -> tuple[FileObject, bool]:
    """Find a file on the server, or upload it.

    Args:
        file: The file.
        expires_after: Seconds after which the server deletes it by itself.
        connection: The server.

    Returns:
        The SDK's file, and whether it was there before.
    """
    found = await _find(file, expires_after, connection)
    if found is not None:
        return found, True
    sent = await _upload(file, expires_after, connection)
    if expires_after is not None and not sent.expires_at:
        text = "%s does not say that it deletes the file %s by itself."
        logger.warning(text, connection.server, sent.id)
    return sent, False


async def _find(
    file: TrainingFile, expires_after: int | None, connection: Connection
) -> FileObject | None:
    step = Step("looking for the training file", NOTHING_ORDERED)
    for found in await _list_files(connection, step):
        if (
            found.filename == file.name
            and found.bytes in (None, len(file.data))
            and found.status not in _BAD
            # It could expire before the job has read it.
            and (expires_after is not None or not found.expires_at)
        ):
            return found
    return None


async def _upload(
    file: TrainingFile, expires_after: int | None, connection: Connection
) -> FileObject:
    step = Step("uploading the training file", NOTHING_ORDERED, creates="file")
    arguments: dict[str, Any] = {"purpose": "fine-tune"}
    if expires_after is not None:
        expiry = {"anchor": "created_at", "seconds": expires_after}
        arguments["expires_after"] = expiry
    if len(file.data) > _LARGE:
        # What a server does with a file takes its time before the first byte.
        arguments["timeout"] = len(file.data) / _MIN_BYTES_A_SECOND

    async def send() -> Any:
        # Not the bytes: openai 2 logs arguments when it debugs.
        content = (file.name, io.BytesIO(file.data), "application/jsonl")
        return await connection.call("files.create", file=content, **arguments)

    return await connection.create_once(
        send, lambda: _find(file, expires_after, connection), lambda _: step
    )


async def await_processed(file: FileObject, connection: Connection) -> None:
    """Wait a limited time for the server to process a file.

    The job itself waits for its file where that takes longer.

    Raises:
        FileProcessingError: If the server cannot use the file.
    """
    step = Step("waiting for the training file", NOTHING_ORDERED)
    limit = _MAX_WAIT if file.status == "uploaded" else _MAX_WAIT_IN_WORK
    if connection.deadline.seconds is not None:
        limit = min(limit, connection.deadline.seconds / 3)
    patience = connection.briefly(limit).deadline
    interval = _FIRST_INTERVAL
    # The field is deprecated: a missing or unknown one says nothing.
    while file.status in _IN_WORK and patience.remaining() > interval:
        await connection.sleep(interval)
        interval = min(interval * 1.5, _MAX_INTERVAL)
        try:
            file = await connection.ask("files.retrieve", step, file_id=file.id)
        except FineTuningError as error:
            if not has_no_route(error):
                raise
            return
    if file.status in _BAD:
        said = connection.clean(file.status_details)
        msg = (
            f"{connection.server} could not use the uploaded file {file.id}"
            f"{': ' + said if said else ''}. {step.consequence} Check the examples, "
            "and run again."
        )
        raise FileProcessingError(msg, status=str(file.status))


async def delete_unused_files(
    file_ids: Collection[str], connection: Connection, job_id: str | None = None
) -> None:
    """Delete uploaded files that no other job needs, and warn of those that stay.

    Args:
        file_ids: The files; their copies go with them.
        connection: The server.
        job_id: The job that no longer needs them.
    """
    step = Step("deleting the training file", "")
    try:
        jobs = await connection.list_all("fine_tuning.jobs.list", step) or []
    except FineTuningError:
        jobs = []
    needed = {
        file_id
        for job in jobs
        if job.id != job_id and str(job.status) not in ENDED
        for file_id in (str(job.training_file), str(job.validation_file))
    }
    for file_id in (*file_ids, *await copies_of(file_ids, connection)):
        if file_id in needed:
            logger.warning("The training file %s stays: another job uses it.", file_id)
            continue
        try:
            await delete("files", connection, step, file_id=file_id)
        except FineTuningError:
            logger.warning(
                "The training file %s could not be deleted and is still at %s.",
                file_id,
                connection.server,
            )


async def copies_of(file_ids: Collection[str], connection: Connection) -> list[str]:
    """Find files with the same content as files of ours; none without a list.

    Where the answer to an upload comes too late to be waited for, or two processes
    upload at the same time, a text is on the server twice.
    """
    step = Step("looking for copies of the training file", "")
    try:
        listed = await _list_files(connection, step)
    except FineTuningError:
        return []
    ours = {str(file.filename) for file in listed if file.id in file_ids}
    return [
        file.id
        for file in listed
        if str(file.filename) in ours
        and is_uploaded_name(str(file.filename))
        and file.id not in file_ids
    ]


async def delete(
    kind: Literal["files", "models"],
    connection: Connection,
    step: Step,
    /,
    **name: str,
) -> None:
    """Delete a file or a model by `file_id` or `model`; one that is gone is no error.

    Raises:
        FineTuningError: If it is still there.
    """
    try:
        await connection.ask(f"{kind}.delete", step, **name)
    except FineTuningError as error:
        if status_of(error) != 404:  # noqa: PLR2004 - HTTP
            raise
        # It is gone, or the server cannot delete: only a look can tell.
        try:
            await connection.ask(f"{kind}.retrieve", step, **name)
        except FineTuningError:
            return
        raise


async def _list_files(connection: Connection, step: Step) -> list[FileObject]:
    return await connection.list_all("files.list", step, purpose="fine-tune") or []
