"""`chatexports forget`: take somebody out of a set, and say what still knows them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from langchain_chatexports.cli.console import say
from langchain_chatexports.datasets._forget import forget
from langchain_chatexports.datasets.formats.trace_file import read_header
from langchain_chatexports.exceptions import (
    ExportFormatError,
    FineTuningError,
    MissingExtraError,
)
from langchain_chatexports.finetuning.data_use import find_jobs, jobs_that_used
from langchain_chatexports.redaction.key_file import read_key_file
from langchain_chatexports.redaction.redactor import Redactor
from langchain_chatexports.steps import Redact

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from langchain_chatexports.datasets._forget import ForgetReport
    from langchain_chatexports.finetuning.data_use import JobUse

__all__ = ["Request", "Servers", "forget_and_list", "say_report"]


@dataclass(frozen=True)
class Request:
    """Who and what is to be forgotten.

    Attributes:
        people: Names or handles.
        conversations: Ids.
        mentions: Whether rows go that hold a name in their text.
        key_file: The key file of a set in which names were replaced.
    """

    people: tuple[str, ...] = ()
    conversations: tuple[str, ...] = ()
    mentions: bool = False
    key_file: Path | None = None

    def replaced(self) -> Request:
        """Return the request as the set writes it."""
        if self.key_file is None:
            return self
        key = read_key_file(self.key_file).key
        people = [Redact(key=key, names=(n,)).pseudonym(n) for n in self.people]
        ids = [Redactor(key).identifier(found) for found in self.conversations]
        return replace(self, people=tuple(people), conversations=tuple(ids))


@dataclass(frozen=True)
class Servers:
    """Where to look for fine-tuning jobs.

    Attributes:
        data_dir: The local server's folder; `None` for the default.
        base_url: Another server.
        openai: Whether to look at OpenAI.
    """

    data_dir: Path | None = None
    base_url: str | None = None
    openai: bool = False


def forget_and_list(
    path: Path, request: Request, servers: Servers
) -> tuple[ForgetReport, list[JobUse]]:
    """Rewrite a set, and list the jobs that were given any version of it.

    Args:
        path: The set.
        request: Who and what is to be forgotten.
        servers: Where to look for jobs.

    Returns:
        What was taken out, and the jobs.

    Raises:
        ExportFormatError: If the set's names were replaced and no key file is given.
        FineTuningError: If a server cannot be asked. The set is rewritten by then.
    """
    if request.key_file is None and read_header(path).facts.get("redacted"):
        # Else it would say that nothing is there of somebody who is.
        msg = (
            f"The names in {path} were replaced, so nobody is found by theirs. Name "
            "the key file that was made with it: --key FILE."
        )
        raise ExportFormatError(msg)
    request = request.replaced()
    report = forget(
        path,
        people=request.people,
        conversations=request.conversations,
        mentions=request.mentions,
    )
    jobs = _local_jobs(report.hashes, servers.data_dir)
    urls = [servers.base_url] if servers.base_url else []
    urls += ["https://api.openai.com/v1"] if servers.openai else []
    for url in urls:
        jobs += _remote_jobs(report.hashes, url)
    return report, jobs


def say_report(report: ForgetReport, jobs: Sequence[JobUse]) -> None:
    """Say what was taken out and what is left to do."""
    say(
        f"{report.path}: {report.removed:,} of {report.rows:,} rows taken out, "
        f"{report.rows_left:,} left"
    )
    if report.mentions:
        say(f"{report.mentions:,} rows hold the name in their text: --mentions")
    if not jobs:
        say("No fine-tuning job is known to have used the set.")
        return
    say("Fine-tuning jobs that used it, and whose models still know what was in it:")
    for job in jobs:
        say(f"  {job.id} ({job.status}): {job.tuned_model or 'no model'}")
    say("Delete these models, and train again on the set as it is now.")


def _local_jobs(hashes: Collection[str], data_dir: Path | None) -> list[JobUse]:
    from langchain_chatexports.local_server import default_data_dir
    from langchain_chatexports.local_server.storage.data_directory import DataDirectory
    from langchain_chatexports.local_server.storage.files import FileStore
    from langchain_chatexports.local_server.storage.jobs import JobStore

    try:
        data = DataDirectory(data_dir if data_dir is not None else default_data_dir())
    except MissingExtraError:
        return []  # Without the extra nothing was ever trained here.
    if not data.jobs.is_dir() or not data.files.is_dir():
        return []
    files = {file["id"]: file["filename"] for file in FileStore(data).newest_first()}
    return jobs_that_used(hashes, JobStore(data).newest_first(), files)


def _remote_jobs(hashes: Collection[str], url: str) -> list[JobUse]:
    import openai

    with ExitStack() as stack:
        try:
            client = stack.enter_context(openai.OpenAI(base_url=url))
            return find_jobs(client, hashes)
        except openai.OpenAIError as error:
            msg = (
                f"The set is rewritten, but {url} could not be asked for its jobs "
                f"({type(error).__name__}). Check OPENAI_API_KEY and the address, and "
                "run the command again."
            )
            raise FineTuningError(msg) from error
